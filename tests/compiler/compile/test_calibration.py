"""Images become samples when they are looked at, and fit the model or are refused."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from PIL import Image

from lprc.compiler.compile.calibration import ImageSamples
from lprc.core.errors import DataError
from lprc.core.tasks.task_file import task_choice


def model(shape: str = "N,3,24,94", more: str = "") -> ir.Model:
    return ir.from_onnx_text(
        f'<ir_version: 9, opset_import: ["" : 18]> g (float[{shape}] image{more}) => '
        f"(float[{shape}] y) {{ y = Relu(image) }}"
    )


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        Image.new("RGB", (94, 24), (50 * index, 0, 0)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_one_image_is_one_sample(folder):
    samples = ImageSamples(folder, task_choice("lprnet"), model(), "m.onnx")
    assert len(samples) == 5
    assert samples[2]["image"].shape == (1, 3, 24, 94)
    assert samples[2]["image"].dtype == np.float32
    assert not np.array_equal(samples[0]["image"], samples[4]["image"])
    assert [list(each) for each in samples[1:3]] == [["image"], ["image"]]
    assert np.array_equal(samples[-1]["image"], samples[4]["image"])


def test_a_fixed_batch_is_filled_with_one_image(folder):
    sample = ImageSamples(folder, task_choice("lprnet"), model("4,3,24,94"), "m.onnx")[1]["image"]
    assert sample.shape == (4, 3, 24, 94)
    assert np.array_equal(sample[0], sample[3])


def test_images_are_read_when_they_are_looked_at(folder):
    samples = ImageSamples(folder, task_choice("lprnet"), model(), "m.onnx")
    (folder / "3.png").write_bytes(b"broken since")
    assert len(list(samples[:3])) == 3
    with pytest.raises(DataError, match=r"3\.png"):
        samples[3]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (model(more=", float[N,1] other"), "has 2 inputs"),
        (model("N,3,32,100"), r"takes images of \[3, 32, 100\]"),
        (model("N,3,94"), "of which 0 take images"),
    ],
)
def test_a_model_that_takes_no_such_images_is_refused(folder, graph, message):
    with pytest.raises(DataError, match=message):
        ImageSamples(folder, task_choice("lprnet"), graph, "m.onnx")
