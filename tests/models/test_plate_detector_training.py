"""Points are assigned to plates, augmentation moves boxes with pixels, and steps lower the loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lprc.models.plate_detector.assignment import assign, overlaps
from lprc.models.plate_detector.augmentation import Strength, augmented, letterboxed
from lprc.models.plate_detector.export import load_detector
from lprc.models.plate_detector.losses import complete_overlap
from lprc.models.plate_detector.network import boxes_at, grid_points
from lprc.models.plate_detector.picture_pool import PicturePool
from lprc.models.plate_detector.scenes import Scene
from lprc.models.plate_detector.trainer import DetectorOptions, DetectorTrainer

SIZE = (64, 128)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assigned(plates, present=None):
    points, strides = grid_points(*SIZE)
    plates = torch.tensor(plates, dtype=torch.float32)[None]
    present = torch.ones(plates.shape[:2], dtype=torch.bool) if present is None else present
    boxes = boxes_at(points, strides, torch.tensor((2.0, 0.7, 2.0, 0.7)).expand(len(points), 4))
    scores = torch.full((1, len(points)), 0.01)
    return points, assign(scores, boxes[None], points, strides, plates, present)


def test_points_within_a_plate_learn_it():
    points, result = assigned([(40, 20, 76, 32)])
    learning = points[result.positive[0]]
    assert 0 < len(learning) <= 9
    assert ((learning > torch.tensor((40, 20))) & (learning < torch.tensor((76, 32)))).all()
    assert result.boxes[result.positive].unique(dim=0).tolist() == [[40, 20, 76, 32]]
    assert (result.targets[~result.positive] == 0).all()
    assert 0 < result.targets.max() <= 1


def test_a_plate_lower_than_a_cell_has_points():
    _, result = assigned([(17, 9, 30, 12)])  # between the rows of points at y = 4 and 12
    assert result.positive.any()


def test_each_of_two_plates_has_points_of_its_own():
    _, result = assigned([(10, 20, 50, 32), (52, 20, 92, 32)])
    assert result.boxes[result.positive].unique(dim=0).tolist() == [
        [10, 20, 50, 32],
        [52, 20, 92, 32],
    ]


def test_padding_has_no_points():
    _, result = assigned([(40, 20, 76, 32)], present=torch.zeros(1, 1, dtype=torch.bool))
    assert not result.positive.any()
    assert result.targets.sum() == 0


def test_complete_overlap_is_1_for_equal_boxes_and_falls_with_distance():
    box = torch.tensor((10.0, 10.0, 50.0, 20.0))
    moved = [box + torch.tensor((d, 0.0, d, 0.0)) for d in (0.0, 5.0, 60.0, 200.0)]
    values = [float(complete_overlap(box, other)) for other in moved]
    assert values[0] == pytest.approx(1)
    assert values == sorted(values, reverse=True)
    assert values[2] > values[3]  # though neither overlaps
    assert float(overlaps(box, moved[1])) == pytest.approx(35 / 45)


def painted(count: int = 6, seed: int = 0) -> list[Scene]:
    """Pictures of a street's size: dark, with one bright plate each."""
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(count):
        left, top = int(rng.integers(100, 440)), int(rng.integers(60, 260))
        wide, high = int(rng.integers(60, 140)), int(rng.integers(20, 40))
        image = np.full((360, 640, 3), 20, np.uint8)
        image[top : top + high, left : left + wide] = 250
        box = np.array([(left, top, left + wide, top + high)], np.float32)
        scenes.append(Scene(image, box))
    return scenes


def pool_of(scenes: list[Scene]) -> PicturePool:
    pool = PicturePool(len(scenes), "cpu")
    pool.add_scenes(scenes)
    return pool


def test_a_pool_gives_back_what_was_added():
    scenes = [*painted(2), Scene(np.zeros((360, 640, 3), np.uint8), np.zeros((0, 4), np.float32))]
    pool = pool_of(scenes)
    assert pool.filled == 3
    for index, scene in enumerate(scenes):
        assert np.array_equal(pool.images[index].permute(1, 2, 0).numpy(), scene.image)
        assert np.array_equal(pool.boxes[index][pool.present[index]].numpy(), scene.boxes)


def test_augmented_boxes_lie_around_the_moved_plates():
    torch.manual_seed(0)
    pool = pool_of(painted())
    for _ in range(4):
        batch = augmented(
            pool.images, pool.boxes, pool.present, (384, 640), Strength(zoom=0.3, cut=0, colour=0)
        )
        for image, boxes, present in zip(batch.images, batch.boxes, batch.present, strict=True):
            rows, columns = np.nonzero(image[0].numpy() > 0.6)
            if not present.any():
                continue
            (box,) = boxes[present].numpy()
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(drawn, box, atol=2)


def test_windows_keep_the_boxes_of_what_is_seen():
    torch.manual_seed(1)
    pool = pool_of(painted(8))
    batch = augmented(
        pool.images, pool.boxes, pool.present, (384, 640), Strength(zoom=0, cut=1, colour=0)
    )
    bright = batch.images[:, 0] > 0.6
    seen = 0
    for pixels, boxes, present in zip(bright, batch.boxes, batch.present, strict=True):
        for left, top, right, bottom in boxes[present].round().int().tolist():
            assert pixels[top:bottom, left:right].float().mean() > 0.35
            seen += 1
    assert seen > 4


def test_colours_change_and_stay_in_range():
    torch.manual_seed(0)
    pool = pool_of(painted(4))
    batch = augmented(pool.images, pool.boxes, pool.present, (384, 640), Strength(zoom=0, cut=0))
    assert batch.images.abs().max() <= 1
    assert len({round(float(image.mean()), 4) for image in batch.images}) == 4


def test_deployed_pictures_are_bgr_at_the_upper_left_on_grey():
    image = torch.zeros(1, 3, 360, 640, dtype=torch.uint8)
    image[:, 0] = 255
    box = letterboxed(image, 384, 640)
    assert box.shape == (1, 3, 384, 640)
    assert box[0, :, 0, 0].tolist() == [-127.5 / 128, -127.5 / 128, 127.5 / 128]
    assert (box[0, :, 360:] == 0).all()


def test_steps_lower_the_loss_and_the_average_is_saved(tmp_path):
    options = DetectorOptions(batch_size=4, width=0.25, height_pixels=192, width_pixels=320)
    trainer = DetectorTrainer(options)
    trainer.choose_form()
    trainer.strength = Strength(zoom=0, cut=0, colour=0)
    batch = trainer.batch(None, pool_of(painted(4)))
    losses = [float(trainer.train_step(batch, 0.3).total.detach()) for _ in range(8)]
    assert min(losses[-2:]) < 0.8 * losses[0]
    trainer.save(tmp_path / "best.pt")
    saved = load_detector(tmp_path / "best.pt", width=0.25).state_dict()
    assert all(torch.equal(saved[n], v) for n, v in trainer.average.state_dict().items())
