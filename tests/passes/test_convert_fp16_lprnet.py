"""LPRNet in float16: what it reads, how large it is, and what stays in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from half_arithmetic import emulated

from lprc.core.files.image_listing import list_images
from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Session
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig

pytestmark = pytest.mark.data

CONFIG = PlateConfig.named("lprnet")
LOWER = """lift-constants,infer-shapes,lower-cast-like,fold-constants,legalize,infer-shapes,
    fold-constants,eliminate-identity,fold-bn,fold-affine,per-sample-mean,pow-to-mul,
    simplify-activations,eliminate-dead-code"""


@dataclass
class Plates:
    images: np.ndarray
    labels: list[str]

    def logits(self, model: bytes) -> np.ndarray:
        session = Session(model, optimize=True, threads=2)
        return np.concatenate([session.run({"image": one[None]})["logits"] for one in self.images])

    def accuracy(self, logits: np.ndarray) -> float:
        return exact_matches(greedy_decode(logits, CONFIG), self.labels) / len(self.labels)


@pytest.fixture(scope="module")
def plates(lprnet_data) -> Plates:
    items = read_labelled(lprnet_data / "val", CONFIG)
    return Plates(load_batch([item.path for item in items], CONFIG), [i.label for i in items])


@pytest.fixture(scope="module")
def lowered(lprnet_onnx) -> bytes:
    model = model_io.load(lprnet_onnx)
    PassManager(Pipeline.parse(LOWER)).run(model)
    return model_io.to_bytes(model)


@pytest.fixture(scope="module")
def before(plates, lowered) -> np.ndarray:
    return plates.logits(lowered)


@pytest.fixture(scope="module")
def converted(lowered) -> ir.Model:
    model = model_io.from_proto(onnx.load_from_string(lowered))
    PassManager(Pipeline.parse("convert-fp16")).run(model)
    return model


def test_it_reads_as_many_plates_in_onnx_runtime(converted, plates, before):
    after = plates.accuracy(plates.logits(model_io.to_bytes(converted)))
    assert after == pytest.approx(plates.accuracy(before), abs=0.0025)
    assert after >= 0.9


def test_it_reads_as_many_plates_where_float16_is_rounded(converted, plates, before):
    logits = plates.logits(emulated(model_io.to_proto(converted)).SerializeToString())
    assert plates.accuracy(logits) == pytest.approx(plates.accuracy(before), abs=0.0025)
    assert np.abs(logits - before).max() < 5e-3 * np.abs(before).max()


def test_it_reads_as_many_plates_in_openvino(converted, plates, before, tmp_path):
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "half.onnx"
    model_io.save(converted, path)
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_NUM_THREADS": 2})
    logits = np.concatenate([compiled([image[None]])[0] for image in plates.images])
    assert plates.accuracy(logits) == pytest.approx(plates.accuracy(before), abs=0.0025)


def test_its_weights_are_half_as_large(converted, lowered):
    before = model_io.weight_bytes(model_io.from_proto(onnx.load_from_string(lowered)))
    assert model_io.weight_bytes(converted) == pytest.approx(before / 2, rel=0.01)
    for value in converted.graph.initializers.values():
        assert value.dtype != ir.DataType.FLOAT, value.name


def test_the_statistics_stay_in_float32(converted):
    means = [node for node in converted.graph if editing.is_op(node, "ReduceMean")]
    divisions = [node for node in converted.graph if editing.is_op(node, "Div")]
    assert len(divisions) == 4
    for division in divisions:
        mean = division.inputs[1].producer()
        assert mean in means
        square = mean.inputs[0].producer()
        assert square.op_type == "Mul"
        assert square.inputs[0] is square.inputs[1] is division.inputs[0]
        for node in (square, mean, division):
            assert {node.inputs[0].dtype, node.outputs[0].dtype} == {ir.DataType.FLOAT}


def test_few_casts(converted):
    casts = [node for node in converted.graph if editing.is_op(node, "Cast")]
    # The image, the logits, the four features before and their Concat behind normalisation.
    assert len(casts) == 7
    assert all(not editing.is_op(node.inputs[0].producer(), "Cast") for node in casts)


def test_ranges_find_no_other_place_for_float32(converted, lowered, lprnet_data):
    images = load_batch(list_images(lprnet_data / "calib")[:16], CONFIG)
    model = model_io.from_proto(onnx.load_from_string(lowered))
    pipeline = Pipeline.parse("calibrate{method=min-max},convert-fp16")
    PassManager(pipeline, calibration=[{"image": image[None]} for image in images]).run(model)
    assert placed(model) == placed(converted)
    assert all(range_of(value) for node in model.graph for value in node.outputs)


def placed(model: ir.Model) -> list[tuple[str | None, ir.DataType | None]]:
    return [(node.name, node.outputs[0].dtype) for node in model.graph]


def test_the_raw_export_too(lprnet_onnx, plates, before):
    model = model_io.load(lprnet_onnx)
    PassManager(Pipeline.parse("lift-constants,infer-shapes,convert-fp16")).run(model)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    after = plates.accuracy(plates.logits(model_io.to_bytes(model)))
    assert after == pytest.approx(plates.accuracy(before), abs=0.0025)
