"""Artefacts that take and put out something else than their sources."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lprc import compile as compile_model
from lprc.compiler.artifact.verification import check_outputs
from lprc.core.targets.target import target as find_target

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,3,8,10] image) => (float[N,5,10] logits) <int64[1] rows = {2}> {
    a = Conv<pads = [1,1,1,1]>(image, w)
    r = Relu(a)
    logits = ReduceMean<keepdims = 0>(r, rows)
}"""
EMBED = "embed-preprocessing{{color=BGR,mean={mean},scale=0.01}},{pipeline},{answer}"
ANSWER = "embed-postprocessing{kind=ctc,result=text}"


@pytest.fixture
def source(tmp_path):
    model = onnx.parser.parse_model(TEXT)
    weight = np.random.default_rng(0).standard_normal((5, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def samples(mean: float) -> list[dict[str, np.ndarray]]:
    """What the source takes of pictures of bytes."""
    generator = np.random.default_rng(1)
    bytes_ = generator.integers(0, 256, (12, 1, 3, 8, 10))
    return [{"image": ((one - mean) * 0.01).astype(np.float32)} for one in bytes_]


@pytest.mark.parametrize("verify", ["each", "final", "off"])
@pytest.mark.parametrize("target", ["ort-fp32", "ort-int8"])
@pytest.mark.parametrize("mean", [128, 123.5])
def test_it_is_compiled_verified_and_checked_against_its_source(
    source, tmp_path, target, verify, mean
):
    pipeline = EMBED.format(mean=mean, pipeline=find_target(target).pipeline, answer=ANSWER)
    artefact = compile_model(
        source,
        target,
        out=tmp_path / "out",
        passes=pipeline,
        calibration=samples(mean),
        verify=verify,
    )
    pictures = np.random.default_rng(2).integers(0, 256, (1, 8, 10, 3), np.uint8)
    text = artefact.run({"image": pictures})["text"]
    assert text.dtype == np.int32
    assert text.shape == (1, 10)
    of_lowered, of_source = check_outputs(tmp_path / "out", source=source)
    assert [delta.name for delta in of_lowered] == ["text"]
    if target == "ort-fp32":
        assert of_source[0].mismatch is None


def test_the_first_quantised_conv_reads_the_bytes(source, tmp_path):
    pipeline = EMBED.format(mean=128, pipeline=find_target("ort-int8").pipeline, answer=ANSWER)
    compile_model(
        source, "ort-int8", out=tmp_path / "out", passes=pipeline, calibration=samples(128)
    )
    lowered = onnx.load(tmp_path / "out" / "lowered.onnx")
    first = next(node for node in lowered.graph.node if "image" in node.input)
    assert first.op_type == "DequantizeLinear"
