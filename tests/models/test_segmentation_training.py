"""Training networks of pixels: they learn, resume to the same weights, and become ONNX."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="training needs lprc[torch]")

from segmentation_scenes import (  # noqa: E402
    HEIGHT,
    TASK,
    WIDTH,
    draw_scenes,
    shapes_task,
)

from lprc.cli.train_command import command  # noqa: E402
from lprc.compiler.training.training_set import Images  # noqa: E402
from lprc.core.errors import DataError, UsageError  # noqa: E402
from lprc.core.tasks.interface import Interface  # noqa: E402
from lprc.models.segmentation_networks.export import load_network  # noqa: E402
from lprc.models.segmentation_networks.layers import resize_factor  # noqa: E402
from lprc.models.segmentation_networks.networks import NAMES  # noqa: E402
from lprc.models.segmentation_networks.scenes import read_scenes  # noqa: E402
from lprc.models.segmentation_networks.train import train_segmentation  # noqa: E402
from lprc.models.segmentation_networks.trainer import (  # noqa: E402
    SegmentationOptions,
    SegmentationTrainer,
)
from lprc.models.tasks.mask_augmentation import Strength, augmented  # noqa: E402

TINY = SegmentationOptions("swiftnet", width=0.06, steps=4, batch_size=4, held_out=0.25, seed=5)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_scenes(tmp_path_factory.mktemp("shapes"), 12, seed=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_network_learns_shapes(name, data, tmp_path):
    options = replace(TINY, network=name, steps=40, learning_rate=1e-2)
    looks = []
    trained = train_segmentation(
        options, shapes_task(), data, tmp_path, looked=looks.append, evaluate_every=20
    )
    assert (trained.images, trained.held_out) == (9, 3)
    assert trained.best == max(look.score for look in looks)
    assert trained.best > 0.4, "the ground alone is 0.25"

    model = load_network(tmp_path / "best.pt")
    generator = np.random.default_rng(0)
    image = generator.standard_normal((2, 3, HEIGHT, WIDTH), dtype=np.float32)
    session = onnxruntime.InferenceSession(trained.model, providers=["CPUExecutionProvider"])
    (exported,) = session.run(None, {"image": image})
    with torch.inference_mode():
        expected = model(torch.from_numpy(image)).numpy()
    assert exported.shape == (2, 3, HEIGHT, WIDTH)
    np.testing.assert_allclose(exported, expected, rtol=1e-3, atol=1e-4)
    resizes = [node for node in onnx.load(trained.model).graph.node if node.op_type == "Resize"]
    # Sizes would be made from the channels' number by Shape, which prune-channels can't pass.
    assert all(len(node.input) == 3 for node in resizes)
    modes = {
        onnx.helper.get_attribute_value(attribute)
        for node in resizes
        for attribute in node.attribute
        if attribute.name in ("mode", "coordinate_transformation_mode")
    }
    assert modes == {b"linear", b"half_pixel"}


def test_resumed_training_ends_in_the_same_weights(data, tmp_path):
    scenes, _ = read_scenes(data, shapes_task(), 0.25, TINY.seed)
    through = SegmentationTrainer(TINY, shapes_task())
    for _ in range(TINY.steps):
        through.train_step(scenes)
    stopped = SegmentationTrainer(TINY, shapes_task())
    for _ in range(2):
        stopped.train_step(scenes)
    stopped.save(tmp_path / "stopped.pt")
    torch.rand(7)  # another process has another random state
    resumed = SegmentationTrainer(TINY, shapes_task())
    resumed.load(tmp_path / "stopped.pt")
    for _ in range(2):
        resumed.train_step(scenes)
    assert resumed.step == TINY.steps
    for name, value in through.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_resuming_under_other_options_is_refused(tmp_path):
    SegmentationTrainer(TINY, shapes_task()).save(tmp_path / "last.pt")
    with pytest.raises(DataError, match=r"crop was 1\.0 and is 0\.5"):
        SegmentationTrainer(replace(TINY, crop=0.5), shapes_task()).load(tmp_path / "last.pt")


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"options": {}, "model": {}, "optimizer": {}}, tmp_path / "best.pt")
    with pytest.raises(DataError, match="no weights of a network of pixels"):
        load_network(tmp_path / "best.pt")


def test_held_out_images_are_never_trained_on(data):
    trained, held_out = read_scenes(data, shapes_task(), 0.25, 0)
    assert len(held_out) == 3
    assert not {scene.truth for scene in trained} & {scene.truth for scene in held_out}
    with pytest.raises(DataError, match="12 are held out"):
        read_scenes(data, shapes_task(), 0.99, 0)


def test_image_and_mask_move_together():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    mask = ((rows // 16 + columns // 16) % 2).astype(np.uint8)
    image = np.repeat(mask[:, :, None] * np.uint8(200), 3, axis=2)
    generator = np.random.default_rng(3)
    strength = Strength(crop=0.5, colour=0.0)
    shown = set()
    for _ in range(20):
        moved, classes = augmented(image, mask, strength, generator)
        assert classes.shape == (HEIGHT // 2, WIDTH // 2)
        assert set(np.unique(classes)) <= {0, 1}
        agreeing = np.mean((moved[:, :, 0] > 100) == classes)
        assert agreeing > 0.93, "only pixels on an edge differ"
        shown.add(classes.tobytes())
    assert len(shown) > 10


def test_fine_tuning_moves_masks_with_their_images(data):
    """Discs are red and boxes blue, so a picture says what its mask must be."""
    task = shapes_task()
    shapes, dtypes = {"image": (1, 3, HEIGHT, WIDTH)}, {"image": np.dtype("f4")}
    interface = Interface(shapes, dtypes, ["logits"], "shapes.onnx", lambda _: {})
    images = Images.read(data, task, interface, labelled=True)
    inputs, masks = images.moved_batch([0, 1, 0], np.random.default_rng(5))
    assert inputs["image"].shape == (3, 3, HEIGHT, WIDTH)
    red, _, blue = inputs["image"].numpy().transpose(1, 0, 2, 3)
    shown = np.stack(masks)
    assert np.mean((red > blue + 0.6)[shown == 1]) > 0.9
    assert np.mean((blue > red + 0.6)[shown == 2]) > 0.9
    assert not np.array_equal(masks[0], masks[2])


@pytest.mark.parametrize("was", [1, 2, 3, 7, 8, 15, 41, 49, 107])
def test_factors_give_just_the_size_in_every_precision(was):
    for wanted in range(1, 400):
        (factor,) = np.array([resize_factor(was, wanted)], np.float32)
        assert float(factor) == resize_factor(was, wanted)
        assert int(factor * np.float32(was)) == wanted
        assert int(float(factor) * was) == wanted


def test_each_pass_shows_every_image_once():
    first = np.concatenate([TINY.batch_at(step, 8) for step in range(2)])
    second = np.concatenate([TINY.batch_at(step, 8) for step in range(2, 4)])
    assert sorted(first) == sorted(second) == list(range(8))
    assert list(first) != list(second)


def test_the_rate_rises_and_falls():
    options = replace(TINY, steps=100, learning_rate=1.0)
    rates = [options.rate_at(step) for step in range(100)]
    assert rates[0] < 0.3
    assert max(rates) == rates[5] == 1.0
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.02


def test_an_unknown_network_is_named_with_a_close_one():
    with pytest.raises(UsageError, match="did you mean 'swiftnet'"):
        SegmentationTrainer(replace(TINY, network="swifnet"), shapes_task())


def test_the_command_trains_and_goes_on(data, tmp_path):
    task, out = tmp_path / "shapes.toml", tmp_path / "run"
    task.write_text(TASK)
    arguments = [
        "mobilenet-unet", "--task", str(task), "--data", str(data), "--out", str(out),
        "--width", "0.1", "--steps", "2", "--batch", "4", "--json",
    ]  # fmt: skip
    first = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert first.exit_code == 0
    assert json.loads(first.output)["model"] == str(out / "model.onnx")
    assert (out / "task.toml").is_file()
    model = (out / "model.onnx").read_bytes()
    resume = ["--resume", str(out / "last.pt")]
    CliRunner().invoke(command, [*arguments, *resume], catch_exceptions=False)
    assert (out / "model.onnx").read_bytes() == model, "there was nothing left to do"


def test_a_task_of_another_kind_is_refused(data, tmp_path):
    task = tmp_path / "plates.toml"
    task.write_text(
        'task = "classification"\n[input]\nwidth = 96\nheight = 64\ncolor = "RGB"\n'
        '[output]\nclasses = ["a", "b"]\n'
    )
    arguments = [
        "swiftnet", "--task", str(task), "--data", str(data), "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    with pytest.raises(DataError, match="this trains segmentation"):
        CliRunner().invoke(command, arguments, catch_exceptions=False)
