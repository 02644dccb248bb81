"""From what a detector puts out raw to boxes and scores, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.tasks.arrangement import arrangement
from lprc.passes._images.answers import replace_outputs
from lprc.passes._images.box_decoding import (
    RESULTS,
    ROLES,
    BoxDecoding,
    DecodingTranslation,
    Level,
    Part,
    channels_of,
)
from lprc.passes._images.box_form import DECODED, WITH_ANCHORS, BoxForm, Form
from lprc.passes._images.network_output import NetworkOutputs
from lprc.passes._images.operators import Operators
from lprc.passes._images.score_form import Activation, Background, Combine, ScoreForm

_OUTPUTS = NetworkOutputs("decode-boxes")
_SCORES = ("scores",)


@dataclass(frozen=True)
class DecodeBoxes(Pass):
    """Let a detector put out `boxes` and `scores` in place of raw numbers.

    `boxes` is float32 [N, places, 4]: left, top, right and bottom in pixels of the input; `scores`
    is float32 [N, places, classes], 0 to 1, without a background. ``embed-postprocessing{kind=nms,
    classes-last=true}`` takes both. Forms of boxes:

    - ``corners``, ``corners-yx`` (TensorFlow's), ``centers``: decoded, in pixels or `normalized`.
    - ``offsets``: of the centre and of the logarithms of the sides from prior boxes (SSD,
      RetinaFace, RetinaNet), times `variances`.
    - ``anchors``: YOLOv5's.
    - ``cells``: the centre from its cell, and the logarithms of the sides, in strides (YOLOX).
    - ``distances``: to the left, top, right and bottom from points (FCOS).
    - ``distributions``: the same as logits over `bins` each (YOLOv8, NanoDet).

    Outputs are [N, K, numbers], [N, numbers, K], [N, K], or a map a level, [N, numbers, H, W] or
    [N, anchors, H, W, numbers]. Grids and priors become initialisers. Needs operator set 13.
    """

    name = "decode-boxes"
    contract = exact
    changes_interface = True
    form: Form = option("corners", "what the numbers of boxes are")
    boxes: tuple[str, ...] = option(("boxes",), "the outputs with boxes, the finest level first")
    scores: tuple[str, ...] = option(
        _SCORES, "those with scores, where they are not in the same rows"
    )
    objectness: tuple[str, ...] = option((), "those with objectness or centre-ness")
    row: tuple[Part, ...] = option(
        ("boxes",), "what stands behind one another in a place of the outputs with boxes"
    )
    classes: int = option(1, "how many scores a place has, with that of the background")
    activation: Activation = option("none", "what makes numbers scores, 0 to 1")
    background: Background = option("none", "where the class for nothing stands; it is left out")
    combine: Combine = option("product", "what is made of a class's score and of the objectness")
    width: int | None = option(None, "of the network's input in pixels")
    height: int | None = option(None, "likewise")
    normalized: bool = option(False, "decoded boxes are parts of the input's width and height")
    strides: tuple[int, ...] = option((), "pixels between the cells of each level")
    offset: float = option(0.5, "where in its cell a point is, in strides")
    anchors: tuple[float, ...] = option(
        (), "offsets, anchors: width, height, width, height … in pixels, level after level"
    )
    anchors_of_level: tuple[int, ...] = option((), "how many of them each level has")
    variances: tuple[float, ...] = option((0.1, 0.2), "offsets: factors of centres and of sides")
    unit: Literal["strides", "pixels"] = option("strides", "distances: what they are counted in")
    bins: int = option(16, "distributions: how many each has")
    alone: bool = option(False, "outputs that are not named are left out")

    def __post_init__(self) -> None:
        """Check what fits together whatever the network is.

        Raises:
            ValueError: It does not.
        """
        self._check_roles()
        self._check_sizes()
        if self.form in WITH_ANCHORS:
            self._check_anchors()

    def _check_roles(self) -> None:
        if self.row.count("boxes") != 1 or len(set(self.row)) != len(self.row):
            raise ValueError("row holds boxes once, and scores and objectness at most once")
        if not self.boxes:
            raise ValueError("boxes names no output")
        if not self.scores or ("scores" in self.row and self.scores != _SCORES):
            raise ValueError("scores are either in row, or outputs that scores names")
        if "objectness" in self.row and self.objectness:
            raise ValueError("objectness is either in row, or outputs that objectness names")
        if self.activation == "softmax" and ("objectness" in self.row or self.objectness):
            raise ValueError("a softmax over the one number of objectness is always 1")
        names = [name for role in ROLES for name in self._named(role)]
        if len(set(names)) != len(names):
            raise ValueError("an output has two meanings")

    def _check_sizes(self) -> None:
        if self.classes < 1 + (self.background != "none"):
            raise ValueError("classes leaves no class")
        if any(size is not None and size < 1 for size in (self.width, self.height)):
            raise ValueError("width and height must be at least 1")
        if (self.normalized or self.form not in DECODED) and None in (self.width, self.height):
            what = "normalized" if self.normalized else self.form
            raise ValueError(f"{what} needs the input's width and height")
        if self.normalized and self.form not in DECODED:
            raise ValueError("normalized is for corners, corners-yx and centers")
        if self.form not in DECODED and (not self.strides or min(self.strides) < 1):
            raise ValueError(f"{self.form} needs strides of at least 1")
        if self.form == "distributions" and self.bins < 2:
            raise ValueError("bins must be at least 2")
        if len(self.variances) != 2:
            raise ValueError(f"variances are 2 numbers, not {len(self.variances)}")

    def _check_anchors(self) -> None:
        counts = self.anchors_of_level
        if len(counts) != len(self.strides) or any(count < 1 for count in counts):
            raise ValueError("anchors-of-level says for each of the strides how many there are")
        if len(self.anchors) != 2 * sum(counts) or min(self.anchors) <= 0:
            raise ValueError(
                f"anchors are {2 * sum(counts)} widths and heights above 0, not {len(self.anchors)}"
            )

    def translation(self, model: ir.Model) -> DecodingTranslation:
        """The boxes and scores that raw outputs mean.

        Raises:
            UsageError: As of `run`.
        """
        decoding = self._decoding(model)
        dropped = [str(value.name) for value in self._others(model, decoding.sources)]
        return DecodingTranslation(
            decoding, dropped if self.alone else (), editing.opset_version(model)
        )

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Write the operators behind the network.

        Raises:
            UsageError: There is no such output, its sizes are open or do not fit, or the operator
                set is older than 13.
        """
        graph = model.graph
        decoding = self._decoding(model)
        sources, others = decoding.sources, self._others(model, decoding.sources)
        self._check_names(graph, () if self.alone else others)
        producers = [node for value in sources if (node := value.producer()) is not None]
        if not context.rewrite(producers[0], f"{self.form} become {' and '.join(RESULTS)}"):
            return
        tail = Operators(graph, str(sources[0].name), producers)
        replace_outputs(graph, sources, decoding.build(tail, sources))
        if self.alone:
            graph.outputs[:] = [value for value in graph.outputs if value not in others]
            editing.remove_dead(value.producer() for value in others)

    def _others(self, model: ir.Model, sources: Sequence[ir.Value]) -> list[ir.Value]:
        return [value for value in model.graph.outputs if value not in sources]

    def _check_names(self, graph: ir.Graph, others: Sequence[ir.Value]) -> None:
        taken = {value.name for value in (*graph.inputs, *others)}
        for name in RESULTS:
            if name in taken:
                raise _OUTPUTS.refused(
                    f"the graph has an input or another output '{name}'",
                    "boxes",
                    "alone=true leaves other outputs out",
                )

    def _decoding(self, model: ir.Model) -> BoxDecoding:
        """Which outputs mean what."""
        _OUTPUTS.check_operator_set(model, "form")
        boxes = BoxForm(
            form=self.form,
            size=(self.width or 0, self.height or 0),
            normalized=self.normalized,
            strides=self.strides,
            offset=self.offset,
            anchors=self._anchors(),
            variances=(self.variances[0], self.variances[1]),
            in_strides=self.unit == "strides",
            bins=self.bins,
        )
        scores = ScoreForm(self.classes, self.activation, self.background, self.combine)
        levels = {role: self._levels(model, role, boxes, scores) for role in ROLES}
        self._check_places(levels, boxes)
        return BoxDecoding(self.row, levels, boxes, scores)

    def _anchors(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        pairs = iter(zip(self.anchors[::2], self.anchors[1::2], strict=True))
        return tuple(tuple(next(pairs) for _ in range(count)) for count in self.anchors_of_level)

    def _levels(
        self, model: ir.Model, role: Part, boxes: BoxForm, scores: ScoreForm
    ) -> tuple[Level, ...]:
        parts = self.row if role == "boxes" else (role,)
        channels = sum(channels_of(part, boxes, scores) for part in parts)
        levels = []
        for name in self._named(role):
            value = _OUTPUTS.chosen(model, name, role)
            rank = editing.rank(value) or 0
            sizes = [_OUTPUTS.known_axis(value, axis, role) for axis in range(1, rank)]
            way = arrangement(sizes, channels, boxes.per_cell)
            if way is None:
                raise _OUTPUTS.refused(
                    f"output '{name}' is [{', '.join(map(str, ['N', *sizes]))}], and has no "
                    f"{channels} numbers of {' and '.join(parts)} for each of "
                    f"{boxes.per_cell} boxes a cell",
                    role,
                    "form, row, classes, bins and anchors say what it holds",
                )
            levels.append(Level(value, way))
        return tuple(levels)

    def _named(self, role: Part) -> tuple[str, ...]:
        """The outputs with a meaning of their own."""
        in_row = role == "scores" and "scores" in self.row
        names: tuple[str, ...] = () if in_row else getattr(self, role)
        return names

    def _check_places(self, levels: dict[Part, tuple[Level, ...]], boxes: BoxForm) -> None:
        counts = {
            role: sum(level.arrangement.shape[0] for level in levels[role])
            for role in ROLES
            if levels[role]
        }
        wanted = counts["boxes"] if boxes.places is None else boxes.places
        for role, count in counts.items():
            if count != wanted:
                names = ", ".join(f"'{level.value.name}'" for level in levels[role])
                source = (
                    "boxes has" if boxes.places is None else f"strides {self._grid_text()} make"
                )
                raise _OUTPUTS.refused(f"{names} have {count} places, and {source} {wanted}", role)

    def _grid_text(self) -> str:
        return f"{list(self.strides)} of {self.width} x {self.height} pixels"
