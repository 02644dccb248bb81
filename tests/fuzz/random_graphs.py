"""Random small graphs, aimed at what exact passes rewrite, with inputs for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from . import edge_values, scenes_elementwise, scenes_forms, scenes_layout, scenes_windows
from .maker import DoesNotFit, Maker

OPSETS = range(7, 26)

THEMES = [
    scenes_elementwise.SCENES, scenes_layout.SCENES, scenes_windows.SCENES, scenes_forms.SCENES,
]  # fmt: skip
EVERYTHING = [scene for theme in THEMES for scene in theme]

SHAPES = [
    (), (1,), (0,), (3,), (2, 3), (0, 3), (1, 4), (2, 0), (1, 2, 3), (1, 2, 5), (1, 1, 1), (2, 3, 0),
    (1, 2, 4, 4), (1, 2, 4, 4), (2, 4, 5, 3), (1, 3, 6, 6), (1, 4, 1, 1), (1, 2, 3, 9), (0, 2, 4, 4),
    (1, 2, 3, 3, 3),
]  # fmt: skip
OTHER_TYPES = [np.int64, np.int32, np.int8, np.uint8, bool, np.int16]


@dataclass(frozen=True)
class Case:
    """A graph and the input sets to run it on, each with the name of its family."""

    seed: int
    model: onnx.ModelProto
    inputs: dict[str, dict[str, np.ndarray]]


def make_case(seed: int) -> Case:
    """The graph of `seed`; always the same one.

    Raises:
        DoesNotFit: No graph came of it.
    """
    rng = np.random.default_rng(seed)
    maker = Maker(rng, int(rng.integers(OPSETS.start, OPSETS.stop)))
    main = np.dtype(maker.choice([np.float32] * 6 + [np.float16, np.float64]))
    theme = maker.choice(THEMES)
    shapes = [shape for shape in SHAPES if len(shape) > 2] if theme in THEMES[2:] else SHAPES
    maker.input(main, maker.choice(shapes))
    if maker.coin(0.4):
        maker.input(main, maker.choice(SHAPES))
    if maker.coin(0.3):
        maker.input(np.dtype(maker.choice(OTHER_TYPES)), maker.choice(SHAPES))
    wanted, made = maker.integer(1, 6), 0
    for _ in range(6 * wanted):
        scene = maker.choice(theme if maker.coin(0.75) else EVERYTHING)
        try:
            scene(maker)
            made += 1
        except DoesNotFit:
            continue
        if made == wanted:
            break
    proto = maker.model(symbolic=maker.coin(0.25))
    families = ["normal", "edges", *rng.choice(edge_values.FAMILIES[2:], 2, replace=False)]
    inputs = {
        str(family): {
            value.name: edge_values.array(rng, value.dtype, value.shape, str(family))
            for value in [*maker.inputs, *maker.overridable]
        }
        for family in families
    }
    return Case(seed, proto, inputs)
