"""Files that once ended or misled the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from lprc.cli import main
from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io import model_io

FOLDER = Path(__file__).parent / "reproducers"

REFUSED = {
    "r06_cast_bad_type": "the Cast that makes 'y': attribute 'to' is 255",
    "r07_ref_attr_main_graph": "refers to the attribute 't' of a function",
    "r08_recursive_function": "function 'my::F' calls itself: my::F <- my::F",
    "r09_duplicate_function": "there are two functions 'my::F'",
    "r10_constant_without_value": "the Constant that makes 'k': it must have one value",
    "r11_avgpool_kernel_rank": "kernel_shape is for 2 axes and strides for 3",
    "r12_max_empty_input_segv": "the Max that makes 'y': its input 2 is left out",
    "r13_randomnormal_scale0_abrt": "its scale is 0",
    "r14_split_num_outputs_abrt": "num_outputs is 2, and it has 3 outputs",
    "r17_slice_axes_mismatch": "starts has 1 numbers, and ends has 2",
    "r18_init_no_data": "initialiser 'w': its data is too small: 0 values",
    "r19_lppool_huge_kernel_hang": "its window [2147483647, 3] has more than",
    "z_580c168ac1ed": "the ReduceMean that makes '1': attribute 'axes' refers to",
    "z_897a4a8a6b0e": "'pos_at': its data stands in raw_data and int64_data at once",
    "z_8ff4ed05eaed": "its data stands in raw_data and int64_data at once",
    "z_a4933318d1c2": "q_num_heads is 1099511627776",
    "z_bb30f581b7d3": "function 'my::F' calls itself",
    "z_c70864c26452": "there are two functions 'my::F'",
    "z_cd6bf6293f53": "initialiser '1': it has the shape [1], and the input of its name has [1, 256]",
    "z_d2fe8dad125c": "attribute 'reduction' refers to the attribute 'zz'",
    "z_e1f6727f8225": "initialiser '1': it has the shape [], and the input of its name has [1]",
    "z_e39486589339": "attribute 'kernel_shape' refers to the attribute 'alpha'",
    "z_f813c1403ffb": "attribute 'alpha' refers to the attribute 'alpha'",
}
COMPILED = {
    "r05_negdim_input": "onnx",
    "r21_control_char_name": "ov-fp32",
    "r22_ov_metadata_control_char": "ov-fp32",
    "z_ctrl": "onnx",
}


def test_every_file_is_spoken_of():
    assert {path.stem for path in FOLDER.iterdir()} == REFUSED.keys() | COMPILED.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_when_it_is_read(name):
    path = FOLDER / f"{name}.onnx"
    for read in (model_io.load, model_io.check_file):
        with pytest.raises(InvalidModelError) as caught:
            read(path)
        assert REFUSED[name] in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.path == path


@pytest.mark.parametrize("name", COMPILED)
def test_it_compiles_and_prints_no_control_character(name, tmp_path, capfd):
    arguments = ["compile", str(FOLDER / f"{name}.onnx"), "--target", COMPILED[name]]
    shown = ["-v", "--print-changed", "--print-before", "fold-bn", "--no-cache"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "-o", str(tmp_path / "out"), *shown])
    out, err = capfd.readouterr()
    assert ended.value.code == 0, err
    assert (out + err).replace("\n", "").isprintable()


def test_a_runtime_is_not_given_what_is_refused(capfd):
    with pytest.raises(SystemExit) as ended:
        main(["bench", str(FOLDER / "r12_max_empty_input_segv.onnx")])
    assert ended.value.code == 3
    assert "is left out" in capfd.readouterr().err
