"""Synthetic street scenes with number plates and the boxes of these.

The same seed, number and Pillow version give the same bytes. `street_scene` draws everything;
`frame_scene` puts plates into a photograph that has plates of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.models.plate_detector.scene_background import SCENE_SIZE, background
from lprc.models.plate_detector.scene_camera import (
    lit_face,
    paste_plate,
    photograph_scene,
    turned_corners,
)
from lprc.models.plate_detector.scene_plates import bare_plate, plate_face
from lprc.models.plate_detector.scene_vehicles import Mount, draw_vehicle, plan_mount
from lprc.models.synthetic_layouts import label_of, sample_text

MOST_PLATES = 6
"""The most that are drawn into one picture."""

_COUNT_SHARES = (0.08, 0.34, 0.24, 0.14, 0.1, 0.06, 0.04)
_PLATE_WIDTHS = (24, 240)
_READABLE_WIDTH = 80
_NIGHT_SHARE = 0.35
_LEAST_VISIBLE = 0.6
"""Of a plate that the picture's rim cuts; a smaller part is no plate to find."""


@dataclass(frozen=True)
class Scene:
    """One picture and its plates.

    Attributes:
        image: RGB uint8 [360, 640, 3].
        boxes: float32 [plates, 4]: left, top, right, bottom in pixels, inside of the picture.
        texts: What stands on each plate, where that is known.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    texts: tuple[str, ...] = ()


def street_scene(index: int, seed: int) -> Scene:
    """Return scene number ``index`` of the endless sequence that ``seed`` names.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    rng = np.random.default_rng([seed, index])
    picture, horizon = background(rng)
    mounts = _free_mounts(int(rng.choice(MOST_PLATES + 1, p=_COUNT_SHARES)), horizon, [], rng)
    lamps = [lamp for mount in mounts for lamp in draw_vehicle(picture, mount, rng)]
    night = bool(rng.random() < _NIGHT_SHARE)
    darkness = float(rng.uniform(0.06, 0.45)) if night else 1.0
    if night:
        picture = picture.point([int(value * darkness) for value in range(256)] * 3)
    lights = rng.uniform(max(0.28, 0.6 * darkness), 1.08, len(mounts))
    boxes = [
        _add_plate(picture, mount, float(light), rng)
        for mount, light in zip(mounts, lights, strict=True)
    ]
    image = photograph_scene(picture, lamps, night=night, rng=rng)
    return Scene(image, _visible(np.array(boxes).reshape(-1, 4)))


def readable_scene(index: int, seed: int) -> Scene:
    """Return a scene by day whose plates are those of `lprc.models.synthetic`, with their texts.

    Args:
        index: Number of the scene.
        seed: Of the endless sequence of them.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    rng = np.random.default_rng([seed, index, 1])
    picture, horizon = background(rng)
    mounts = _free_mounts(int(rng.integers(1, 5)), horizon, [], rng, narrowest=_READABLE_WIDTH)
    lamps = [lamp for mount in mounts for lamp in draw_vehicle(picture, mount, rng)]
    drawn = []
    for mount in mounts:
        text = sample_text(rng)
        box = _add_plate(picture, mount, float(rng.uniform(0.7, 1.08)), rng, bare_plate(text, rng))
        drawn.append((box, label_of(text)))
    image = photograph_scene(picture, lamps, night=False, rng=rng)
    whole = [(box, text) for box, text in drawn if len(_visible(box[None]))]
    boxes = np.array([box for box, _ in whole]).reshape(-1, 4)
    return Scene(image, _visible(boxes), tuple(text for _, text in whole))


def frame_scene(frame: Scene, index: int, seed: int) -> Scene:
    """Return ``frame`` with plates added where it has none; arguments as of `street_scene`."""
    rng = np.random.default_rng([seed, index])
    picture = Image.fromarray(frame.image)
    free = [tuple(map(float, box)) for box in frame.boxes]
    mounts = _free_mounts(int(rng.integers(1, 5)), SCENE_SIZE[1] // 2, free, rng)
    brightness = float(frame.image.mean()) / 128
    boxes = []
    for mount in mounts:
        light = float(np.clip(brightness * rng.uniform(0.7, 2.2), 0.25, 1.1))
        boxes.append(_add_plate(picture, mount, light, rng))
    added = _visible(np.array(boxes).reshape(-1, 4))
    return Scene(np.asarray(picture), np.concatenate([frame.boxes, added]))


def _free_mounts(
    count: int,
    horizon: int,
    taken: Sequence[tuple[float, ...]],
    rng: np.random.Generator,
    *,
    narrowest: float = _PLATE_WIDTHS[0],
) -> list[Mount]:
    """Return at most ``count`` mounts, far before near, of which none covers another's plate."""
    low, high = np.log((narrowest, _PLATE_WIDTHS[1]))
    widths = np.sort(np.exp(rng.uniform(low, low + (high - low) * rng.uniform(0.4, 1), count)))
    mounts: list[Mount] = []
    plates = list(taken)
    for width in widths:
        for _ in range(8):
            mount = plan_mount(horizon, float(width), rng)
            half = mount.width * 0.56
            plate = (mount.x - half, mount.y - half, mount.x + half, mount.y + half)
            if not any(
                _touch(other, mount.surroundings) or _touch(other, plate) for other in plates
            ):
                mounts.append(mount)
                plates.append(plate)
                break
    return mounts


def _touch(first: Sequence[float], second: Sequence[float]) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )


def _add_plate(
    picture: Image.Image,
    mount: Mount,
    light: float,
    rng: np.random.Generator,
    face: Image.Image | None = None,
) -> NDArray[np.float64]:
    """Draw a plate at ``mount``; return left, top, right, bottom, float64 [4]."""
    if face is None:
        face = plate_face(rng)
    aspect = face.width / face.height
    if aspect < 2.5:  # of like area as the wide ones
        mount = replace(mount, width=max(_PLATE_WIDTHS[0], mount.width * (aspect / 4) ** 0.5))
    turns = (rng.normal(0, 0.3), rng.normal(0, 0.15), rng.normal(0, 0.05))
    corners = turned_corners(mount, aspect, turns)
    paste_plate(picture, lit_face(face, light, rng), corners)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def _visible(boxes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return those boxes that lie mostly in the picture, cut at its rim, float32 [n, 4]."""
    inside = np.clip(boxes, 0, SCENE_SIZE * 2)
    areas = [(b[:, 2:] - b[:, :2]).clip(min=0).prod(axis=1) for b in (inside, boxes)]
    seen: NDArray[np.float32] = inside[areas[0] >= _LEAST_VISIBLE * areas[1]].astype(np.float32)
    return seen
