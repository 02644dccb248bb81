"""What a sweep compares, and what its rows say."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.sweeping.pipeline_template import piece_sweep, pipeline_sweep
from lprc.compiler.sweeping.sweep import UNCHANGED, Measures, folder_name, split, sweep
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.targets.target import target

NETWORK = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,2,6,6] x) => (float[1,3,6,6] y)
<float[8,2,3,3] w, float[3,8,1,1] v> {
    [first] c = Conv<pads=[1,1,1,1]>(x, w)
    [relu] r = Relu(c)
    [last] y = Conv(r, v)
}"""

PIECE = "prune-channels{target-macs={}}"


@pytest.fixture
def network(tmp_path):
    model = onnx.parser.parse_model(NETWORK)
    generator = np.random.default_rng(0)
    del model.graph.initializer[:]
    for name, shape in (("w", (8, 2, 3, 3)), ("v", (3, 8, 1, 1))):
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    return path


def samples(count: int) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(1)
    return [{"x": generator.standard_normal((1, 2, 6, 6)).astype(np.float32)} for _ in range(count)]


def names(pipeline) -> list[str]:
    return [item.name for item in pipeline.passes]


@pytest.mark.parametrize(
    ("goal", "behind"),
    [
        ("onnx", None),
        ("openvino-int8", "calibrate"),
        ("tensorrt-sparse-int8", "sparsify"),
        ("tensorrt-fp16", "calibrate"),
    ],
)
def test_a_piece_goes_as_far_back_as_the_order_allows(goal, behind):
    text = piece_sweep(f"{PIECE},reconstruct", target(goal).pipeline, ["0.9", "0.5"])
    assert list(text.pipelines) == ["0.9", "0.5"]
    for value, pipeline in text.pipelines.items():
        found = names(pipeline)
        place = found.index("prune-channels")
        assert found[place + 1] == "reconstruct"
        assert found[place + 2 : place + 3] == ([behind] if behind else [])
        assert f"target-macs={value}" in str(pipeline)
        assert found[:place] + found[place + 2 :] == names(text.unchanged)
    assert text.option == "target-macs"


def test_a_piece_without_any_place_is_refused():
    with pytest.raises(UsageError, match="prune-channels after insert-qdq"):
        piece_sweep(f"insert-qdq,{PIECE}", "fold-bn", ["0.5"])


def test_a_whole_pipeline_is_compared_with_what_has_no_value():
    text = pipeline_sweep(
        'fold-bn,prune-channels{ratio={}, exclude="a,b",c},sparsify{pattern=2:4}', ["0.1", "0.2"]
    )
    assert str(text.unchanged) == "fold-bn,sparsify"
    assert (
        str(text.pipelines["0.2"]) == 'fold-bn,prune-channels{ratio=0.2,exclude="a,b",c},sparsify'
    )
    assert text.option == "ratio"


def test_words_can_be_swept():
    text = pipeline_sweep("{}", ["fold-bn", "fold-affine"])
    assert text.option == "value"
    assert [str(each) for each in text.pipelines.values()] == ["fold-bn", "fold-affine"]
    assert not text.unchanged.passes


@pytest.mark.parametrize(
    ("piece", "values", "message"),
    [
        ("prune-channels{ratio=0.5}", ["1"], "no {} to put the values in"),
        (PIECE, [], "no values"),
        (PIECE, ["0.5", "1", "0.5"], "0.5 given twice"),
        (PIECE, ["half"], "not of type float"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(piece, values, message):
    with pytest.raises(UsageError, match=message):
        piece_sweep(piece, "fold-bn", values)
    with pytest.raises(UsageError, match=message):
        pipeline_sweep(piece, values)


def test_rows_cost_less_and_agree_less(network, tmp_path):
    text = piece_sweep(PIECE, "infer-shapes", ["1.0", "0.5", "0.01"])
    steps = []
    swept = sweep(
        network, "onnx", text, tmp_path / "out", Measures(samples=samples(10), latency=True),
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    whole, same, half, failed = swept.unchanged, *swept.rows
    assert (whole.macs, whole.parameters) == (6 * 6 * 8 * (18 + 3), 8 * (18 + 3))
    assert (whole.agreement, whole.snr_db, whole.latency_ratio) == (1.0, np.inf, 1.0)
    assert (same.macs, same.agreement) == (whole.macs, 1.0)
    assert (half.macs, half.parameters) == (whole.macs // 2, whole.parameters // 2)
    assert half.size_bytes < whole.size_bytes
    assert half.agreement < 1
    assert 0 < half.snr_db < 30
    assert half.median_ms > 0
    assert failed.error is not None
    assert "0.125 is left when all that may go is gone" in failed.error
    assert (failed.macs, failed.median_ms, failed.agreement) == (None, None, None)
    assert swept.failed == [failed]
    assert whole.document()["snr_db"] is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.5", "1.0", UNCHANGED]
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {6}
    assert steps[-1][0] == 6


def test_only_what_is_asked_for_is_measured(network, tmp_path):
    swept = sweep(
        network, "onnx", piece_sweep(PIECE, "infer-shapes", ["0.5"]), tmp_path, Measures()
    )
    (row,) = swept.rows
    assert row.macs < swept.unchanged.macs
    assert (row.accuracy, row.agreement, row.median_ms) == (None, None, None)


def test_a_model_that_can_not_be_read_is_no_row(tmp_path):
    text = piece_sweep(PIECE, "infer-shapes", ["0.5"])
    with pytest.raises(InvalidModelError):
        sweep(tmp_path / "none.onnx", "onnx", text, tmp_path, Measures())


def test_agreement_is_measured_on_what_was_not_fitted_to():
    given = samples(23)
    fitted, held_out = split(given)
    assert [len(fitted), len(held_out)] == [19, 4]
    assert [sample is given[index] for sample, index in zip(held_out, (4, 9, 14, 19), strict=True)]
    both = [id(sample) for part in (fitted, held_out) for sample in part]
    assert sorted(both) == sorted(id(sample) for sample in given)
    assert len(fitted[2:5]) == 3
    few = samples(9)
    assert split(few) == (few, few)


@pytest.mark.parametrize(
    ("value", "name"), [("0.5", "0.5"), ("2:4", "2_4"), ("../x", "_x"), ("..", "_")]
)
def test_folders_are_called_like_values(value, name):
    assert folder_name(value) == name
