"""What a model is run on, and at which sizes, from another folder and through every command."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

NECK = """<ir_version: 9, opset_import: ["" : 20]>
neck (float[batch,1,height,width] image, int64[batch,length] ids)
    => (float[batch,2,?,?] features, float[batch,length,3] words)
<float[1,1,3,3] w = {1,2,1,0,0,0,-1,-2,-1}, float[4] scales = {1,1,4,4},
 float[5,3] table = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}> {
    half = Conv<strides = [2,2], pads = [1,1,1,1]>(image, w)
    quarter = Conv<strides = [2,2], pads = [1,1,1,1]>(half, w)
    eighth = Conv<strides = [2,2], pads = [1,1,1,1]>(quarter, w)
    up = Resize<mode = "nearest">(eighth, , scales)
    features = Concat<axis = 1>(up, half)
    words = Gather(table, ids)
}"""


@pytest.fixture
def neck(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    onnx.save(onnx.parser.parse_model(NECK), folder / "neck.onnx")
    return folder / "neck.onnx"


def real(path, height=16, count=1, **changed):
    arrays = {
        "image": np.ones((count, 1, height, 24), np.float32),
        "ids": np.zeros((count, 7), np.int64),
    }
    np.savez(path, **{**arrays, **changed})


@pytest.mark.parametrize("target", ["ort-fp32", "ov-fp32"])
def test_searched_sizes_are_told_once_and_kept_quiet(lprc, neck, tmp_path, target):
    out = tmp_path / "out"
    command = ["compile", neck, "--target", target, "-o", out, "--no-cache"]
    told = "verified at sizes that were made up, height=8, width=8, length=8: give real ones"
    assert lprc(*command).stderr.count(told) == 1
    assert told not in lprc(*command, "-q").stderr
    assert told in lprc(*command, "--json").stdout
    assert told in str(json.loads((out / "manifest.json").read_text())["warnings"])


def test_sizes_that_are_given_are_not_searched(lprc, neck, tmp_path):
    command = ["opt", neck, "--passes", "legalize", "-o", tmp_path / "o.onnx"]
    done = lprc(*command, "--dim", "height=16", "--dim", "image:3=24", "--dim", "length=3")
    assert "made up" not in done.stderr
    graph = onnx.load(tmp_path / "o.onnx").graph
    assert [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim][2:] == [
        "height",
        "width",
    ]


def test_a_shape_is_fixed_in_the_graph_and_its_symbols_everywhere(lprc, neck, tmp_path):
    out = tmp_path / "out"
    shape = ["--input-shape", "image:2,1,16,24", "--input-shape", "ids:?,4"]
    done = lprc("compile", neck, "--target", "ov-fp32", "-o", out, *shape)
    assert "made up" not in done.stderr
    graph = onnx.load(out / "lowered.onnx").graph
    shapes = [
        [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [[2, 1, 16, 24], [2, 4], [2, 2, 8, 12], [2, 4, 3]]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["pipeline"].startswith("set-input-shape{shapes=")
    lprc("verify", out, "--reproduce", "--source", neck)
    lprc("verify", out, "--numerics")
    assert '"shapes": {' in lprc("bench", out, neck, "--rounds", "1", "--json").stdout


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_real_inputs_verify_and_the_cache_knows_them(lprc, neck, tmp_path, monkeypatch, kind):
    monkeypatch.setenv("LPRC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LPRC_NO_CACHE")
    place = tmp_path / "real.npz" if kind == "file" else tmp_path / "real"
    if kind == "folder":
        place.mkdir()
    files = [place] if kind == "file" else [place / "0.npz", place / "1.npz"]
    for file in files:
        real(file)
    out = tmp_path / "out"
    command = ["compile", neck, "--target", "ort-fp32", "-o", out, "--inputs", place, "--json"]
    first = json.loads(lprc(*command, "--depfile", tmp_path / "out.d").stdout)
    assert first["warnings"] == []
    assert str(files[-1]) in (tmp_path / "out.d").read_text()
    assert json.loads(lprc(*command).stdout)["cached"]
    real(files[-1], height=20)
    refused = lprc(*command, check=False)
    assert refused.returncode == 3
    assert "the source itself does not run on the inputs that were given" in refused.stderr
    lprc("verify", out, "--numerics", "--dim", "height=8", "--dim", "width=8")
    real(files[-1])
    lprc("verify", out, "--numerics", "--inputs", place)
    lprc("verify", out, "--numerics", "--calib", place)
    done = lprc("bench", neck, out, "--inputs", place, "--rounds", "1", "--json")
    assert json.loads(done.stdout)[1]["shapes"] == {"image": [1, 1, 16, 24], "ids": [1, 7]}


COMMANDS = [
    ["compile", "MODEL", "--target", "ort-fp32", "-o", "OUT", "--no-cache"],
    ["opt", "MODEL", "--passes", "legalize", "-o", "OUT"],
    ["bisect", "MODEL", "--passes", "legalize"],
    ["bench", "MODEL", "--rounds", "1"],
]


@pytest.mark.parametrize(
    ("command", "changed", "reason"),
    [
        (
            COMMANDS[0],
            {"picture": np.ones(3)},
            "it has ids, image, picture; the inputs are image, ids",
        ),
        (
            COMMANDS[1],
            {"ids": np.zeros((1, 7), np.float32)},
            "'ids' is float32, and the input takes",
        ),
        (
            COMMANDS[2],
            {"image": np.ones((1, 3, 16, 24))},
            "'image' is [1, 3, 16, 24], and the input",
        ),
        (
            COMMANDS[3],
            {"image": np.ones((1, 16, 24))},
            "'image' is [1, 16, 24], and the input takes",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_one_line(lprc, neck, tmp_path, command, changed, reason):
    real(tmp_path / "real.npz", **changed)
    places = {"MODEL": neck, "OUT": tmp_path / "out"}
    words = [places.get(word, word) for word in command]
    done = lprc(*words, "--inputs", tmp_path / "real.npz", check=False)
    assert done.returncode == 8
    assert reason in done.stderr.splitlines()[0]
    assert "real.npz" in done.stderr.splitlines()[0]


@pytest.mark.parametrize("command", COMMANDS[1::2], ids=["opt", "bench"])
@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--dim", "hight=3", "has no symbolic dimension 'hight'"),
        ("--dim", "height", "'height' is not a dimension's size"),
        ("--dim", "height=0", "'height' can't be 0"),
        ("--input-shape", "image:1,1,16", "1,1,16 does not fit input 'image' [batch, 1, height"),
        ("--input-shape", "image:1,3,16,24", "axis 1 is fixed"),
        ("--input-shape", "1,1,16,24", "has 2 inputs"),
        ("--input-shape", "picture:1", "has no input 'picture'"),
        ("--input-shape", "image:1,1,16,x", "'image:1,1,16,x' is not an input's shape"),
    ],
)
def test_sizes_that_do_not_fit_are_one_line(lprc, neck, tmp_path, command, option, value, reason):
    places = {"MODEL": neck, "OUT": tmp_path / "out"}
    done = lprc(*(places.get(word, word) for word in command), option, value, check=False)
    assert done.returncode == 2
    assert reason in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_one_dimension_has_one_size(lprc, neck, tmp_path):
    command = ["opt", neck, "--passes", "legalize", "-o", tmp_path / "o.onnx"]
    done = lprc(*command, "--dim", "width=8", "--input-shape", "image:1,1,8,16", check=False)
    assert done.returncode == 2
    assert "'width' would be 8 and 16" in done.stderr


def test_bisect_runs_graphs_at_given_sizes(lprc, neck):
    shape = ["--input-shape", "image:1,1,16,24", "--dim", "length=3"]
    done = lprc("bisect", neck, "--passes", "legalize", *shape, "--tolerance", "0", check=False)
    assert done.returncode == 2
    assert "nothing" in done.stderr


def test_latencies_of_compile_are_at_the_given_sizes(lprc, neck, tmp_path, monkeypatch):
    from lprc.cli import compare_table, main
    from lprc.compiler.measure import bench as bench_module

    taken = []

    def watched(*arguments, **options):
        rows = bench_module.bench(*arguments, **options)
        taken.extend(row.shapes["image"] for row in rows)
        return rows

    monkeypatch.setattr(compare_table, "bench", watched)
    command = ["compile", neck, "--target", "ort-fp32", "-o", tmp_path / "out", "--bench", "-q"]
    sizes = ["--dim", "height=16", "--dim", "width=24"]
    real(tmp_path / "calib.npz", height=24, count=4)
    calib = ["--calib", str(tmp_path / "calib.npz")]
    every = ["--stats", "--verify", "each"]
    for given, shape in ((sizes, (16, 24)), (every, (8, 8)), (calib, (24, 24))):
        taken.clear()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in [*command, *given]])
        assert ended.value.code == 0
        assert taken == [(1, 1, *shape)] * 2
