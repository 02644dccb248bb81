"""The real LPRNet through the quantising targets: size, accuracy, the same bytes twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import BY_MODEL

FLOAT = 0.905
"""What the published weights read of `val` in float32."""

TARGETS = ["ort-int8", "openvino-int8", "onnx-qdq"]


def compiled(source: Path, name: str, out: Path, calib: Path | None = None, **options) -> Path:
    if "openvino" in target(name).requires:
        pytest.importorskip("openvino")
    samples = (
        () if calib is None else ImageSamples(calib, BY_MODEL, load(source), source.name)[:200]
    )
    settings = {"verify": "off", "calibration": samples}
    compile_model(compile_request(source, name, out / name, **settings, **options))
    return out / name


@pytest.mark.data
def test_constant_channels_leave_a_quarter_and_the_accuracy(lprnet_onnx, lprnet_data, tmp_path):
    with_them = ", ".join(
        part.strip()
        for part in target("ort-fp32").pipeline.replace("\n", " ").split(",")
        if part.strip() != "eliminate-constant-channels"
    )
    before = compiled(lprnet_onnx, "ort-fp32", tmp_path / "before", passes=with_them)
    after = compiled(lprnet_onnx, "ort-fp32", tmp_path / "after")
    sizes = [(folder / "lowered.onnx").stat().st_size for folder in (before, after)]
    assert sizes[0] >= 3 * sizes[1]
    assert evaluate(after, lprnet_data / "val").accuracy == pytest.approx(FLOAT, abs=0.0025)


@pytest.mark.data
@pytest.mark.parametrize("name", TARGETS)
def test_int8_reads_as_well_as_float32(name, lprnet_onnx, lprnet_data, tmp_path):
    folder = compiled(lprnet_onnx, name, tmp_path, lprnet_data / "calib")
    assert evaluate(folder, lprnet_data / "val").accuracy >= FLOAT - 0.005
    size = sum(path.stat().st_size for path in folder.glob("*") if path.suffix != ".json")
    assert size < 0.5 * lprnet_onnx.stat().st_size


@pytest.mark.slow
@pytest.mark.data
def test_the_same_bytes_twice(lprnet_onnx, lprnet_data, tmp_path):
    first, second = (
        compiled(lprnet_onnx, "ort-int8", tmp_path / side, lprnet_data / "calib") for side in "ab"
    )
    for path in first.glob("*.onnx"):
        assert path.read_bytes() == (second / path.name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_bundled_model_in_int8(name, bundled, plates, tmp_path):
    folder = compiled(bundled, name, tmp_path, plates)
    accuracy = evaluate(folder, plates).accuracy
    assert accuracy >= evaluate(bundled, plates).accuracy - 0.01
