"""Classification and segmentation on small drawn images, end to end."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from PIL import Image

from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import DataError
from lprc.core.tasks.task_file import TaskChoice, task_choice, task_from_table, task_kind

HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def save(path, text):
    onnx.save(onnx.parser.parse_model(HEAD + text), path)
    return path


@pytest.fixture
def classifier(tmp_path):
    """Tells the colour: the mean of each channel is a class's score."""
    text = "g (float[N,3,8,8] x) => (float[N,3] y) <int64[2] a = {2,3}> { y = ReduceMean<keepdims=0>(x, a) }"
    return save(tmp_path / "classes.onnx", text)


@pytest.fixture
def segmenter(tmp_path):
    """Half the size, a class for each channel."""
    text = """g (float[N,3,8,8] x) => (float[N,3,4,4] y)
    { y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x) }"""
    return save(tmp_path / "masks.onnx", text)


@pytest.fixture
def colours(tmp_path):
    for name, colour in COLOURS.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (16, 12), colour).save(tmp_path / "data" / name / f"{index}.png")
    return tmp_path / "data"


def task(kind, size=8, **tables):
    image = {"width": size, "height": size, "color": "RGB", **tables.pop("input", {})}
    return TaskChoice(task_from_table({"task": kind, "input": image, **tables}, "t", "t.toml"))


def classes(**image):
    return task("classification", output={"classes": list(COLOURS)}, input=image)


def masks(**output):
    return task("segmentation", output={"classes": list(COLOURS), **output})


def test_folders_are_classes(classifier, colours):
    found = evaluate(classifier, colours, task=classes())
    assert (found.accuracy, found.total, found.wrong) == (1.0, 6, ())
    assert str(found).startswith("top-1 accuracy 1.0000 (0.6097 to 1.0000, 6 of 6 images)")


def test_a_table_of_labels(classifier, colours, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in COLOURS:
        (colours / name / "0.png").rename(flat / f"{name}.png")
    (flat / "labels.csv").write_text("file,label\nred.png,red\ngreen.png,1\nblue.png,red\n")
    found = evaluate(classifier, flat, task=classes())
    assert found.correct == 2
    (wrong,) = found.wrong
    assert (wrong.path.name, wrong.label, wrong.predicted) == ("blue.png", "red", "blue")
    assert found.document()["confused"] == [{"label": "red", "answer": "blue", "count": 1}]
    (flat / "labels.csv").write_text("file,label\nred.png,violet\n")
    with pytest.raises(DataError, match="'violet' is none of the 3 classes"):
        evaluate(classifier, flat, task=classes())


def test_swapped_colours_are_named(classifier, colours):
    for path in colours.glob("green/*.png"):
        path.unlink()
    (colours / "green").rmdir()
    found = evaluate(classifier, colours, task=classes(color="BGR"), explain=True)
    assert found.accuracy == 0
    assert 'with color = "RGB" the top-1 accuracy of 4 images is 1.0000' in found.remark
    right = evaluate(classifier, colours, task=classes(), explain=True)
    assert right.remark == ""


@pytest.fixture
def scenes(tmp_path):
    """Images 16x16, red left of blue; the mask calls the last column unlabelled (7)."""
    folder = tmp_path / "scenes"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:, :8, 0] = picture[:, 8:, 2] = 255
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 2
    mask[:, 15] = 7
    Image.fromarray(picture).save(folder / "images" / "a.png")
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    return folder


def test_masks_are_compared_in_their_own_size(segmenter, scenes):
    found = evaluate(segmenter, scenes, task=masks(ignore=7))
    assert found.accuracy == pytest.approx(1.0, abs=0.1)
    assert found.document()["iou"]["green"] is None
    assert found.document()["pixel_accuracy"] > 0.9
    picture = found.task.picture(scenes / "images" / "a.png", scenes / "masks" / "a.png")
    assert picture.size == (16, 16)


def test_a_mask_with_a_class_that_there_is_not(segmenter, scenes):
    with pytest.raises(DataError, match="has class 7, and there are 3"):
        evaluate(segmenter, scenes, task=masks())
    (scenes / "masks" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: has no mask"):
        evaluate(segmenter, scenes, task=masks())


def test_the_mean_iou_is_that_of_the_confusion():
    given = masks().task
    confusion = np.array([[8, 2, 0], [0, 10, 0], [0, 0, 0]])
    assert given.combine([confusion]) == pytest.approx((8 / 10 + 10 / 12) / 2)


@pytest.mark.parametrize("resize", ["letterbox", "crop", "stretch"])
def test_masks_lie_where_the_image_does(tmp_path, resize):
    """A wide image: what the network is told about the borders does not reach the mask."""
    text = "g (float[N,3,8,8] x) => (float[N,3,8,8] y) { y = Identity(x) }"
    model = save(tmp_path / "same.onnx", text)
    for name in ("images", "masks"):
        (tmp_path / "wide" / name).mkdir(parents=True)
    Image.new("RGB", (32, 16), (0, 255, 0)).save(tmp_path / "wide/images/a.png")
    Image.fromarray(np.full((16, 32), 1, np.uint8)).save(tmp_path / "wide/masks/a.png")
    choice = task("segmentation", output={"classes": list(COLOURS)}, input={"resize": resize})
    assert evaluate(model, tmp_path / "wide", task=choice).accuracy == 1.0


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_a_first_file_from_the_shapes(classifier, segmenter, kind, colours):
    model = classifier if kind == "classification" else segmenter
    found = TaskChoice(kind=task_kind(kind))
    if kind == "classification":
        names = evaluate(model, _numbered(colours), task=found).task.classes
    else:
        from lprc.compiler.compile.graph_interface import interface_of_graph
        from lprc.core.onnx_io.model_io import load

        names = found.resolve(interface_of_graph(load(model), "m")).classes
    assert names == ("class 0", "class 1", "class 2")


def _numbered(colours):
    for index, name in enumerate(COLOURS):
        (colours / name).rename(colours / str(index))
    return colours


def test_tensors_agree_with_what_they_should_be(tmp_path):
    text = "g (float[2] x, int64 n) => (float[2] y) { a = Cast<to=1>(n) y = Mul(x, a) }"
    model = save(tmp_path / "any.onnx", text)
    (tmp_path / "data").mkdir()
    x = np.array([1, 2], np.float32)
    np.savez(tmp_path / "data" / "a.npz", x=x, n=np.int64(3), y=3 * x)
    np.savez(tmp_path / "data" / "b.npz", x=x, n=np.int64(2), y=np.array([4, 2], np.float32))
    found = evaluate(model, tmp_path / "data", task=task_choice("tensors"))
    assert found.accuracy == pytest.approx((1 + 16 / 20) / 2)
    assert found.document()["snr_db"] == pytest.approx(10 * np.log10((45 + 20) / 8))
    np.savez(tmp_path / "data" / "c.npz", x=x)
    with pytest.raises(DataError, match="has no array 'n'"):
        evaluate(model, tmp_path / "data", task=task_choice("tensors"))
