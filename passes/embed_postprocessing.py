"""What becomes of a network's outputs, inside the graph: classes, masks, texts and boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._images.answers import Answer, AnswerTranslation
from lprc.passes._images.ctc_collapse import CtcCollapse
from lprc.passes._images.detections import Corners, Detections
from lprc.passes._images.joint_detections import BOX, JointDetections
from lprc.passes._images.network_output import NetworkOutputs
from lprc.passes._images.resizing import Interpolation
from lprc.passes._images.scores import ArgMax, Enlarged, Softmax

_OUTPUTS = NetworkOutputs("embed-postprocessing")


@dataclass(frozen=True)
class EmbedPostprocessing(Pass):
    """Let the graph put out answers in place of scores, in a fixed number of elements.

    - ``argmax``: the best class along an axis, for instance a mask of int32 [N, height, width].
    - ``softmax``: probabilities along an axis.
    - ``ctc``: the best class of each step, repeats merged, blanks dropped: int32 [N, steps], the
      text in front and -1 behind it.
    - ``nms``: boxes [N, boxes, 4] and their scores as float32 [N, rows, 6]: x1, y1, x2, y2, score,
      class, the best first; rows of -1 behind the last. With `channels` one output has both.

    It belongs behind everything else, so that passes in front of it are held to the scores, and
    quantisation sees where they leave the network. Needs operator set 13.
    """

    name = "embed-postprocessing"
    contract = exact
    changes_interface = True
    kind: Literal["argmax", "softmax", "ctc", "nms"] = option("argmax", "what the answer is")
    output: str | None = option(None, "the output with the scores; the only one needs no name")
    result: str | None = option(
        None, "what the answer is called; by default as the scores, and boxes `detections`"
    )
    axis: int = option(1, "argmax, softmax, ctc: the axis of the classes")
    dtype: Literal["int32", "int64", "uint8"] = option("int32", "argmax: the type of the classes")
    height: int | None = option(
        None, "argmax, softmax: of the answer, for which scores [N, classes, …] are resized"
    )
    width: int | None = option(None, "likewise")
    interpolation: Interpolation = option("linear", "between scores where they are resized")
    blank: int = option(-1, "ctc: the class that is no character; negative ones count from the end")
    boxes: str = option("boxes", "nms: the output with the boxes")
    scores: str = option("scores", "nms: the output with their scores")
    form: Corners = option("xyxy", "nms: two corners, or centre, width and height")
    classes_last: bool = option(False, "nms: scores are [N, boxes, classes]")
    channels: int | None = option(
        None, "nms: `output` alone has the box and the scores of each place, so many numbers"
    )
    objectness: bool = option(
        False, "nms with channels: the number behind the box multiplies the scores"
    )
    rows: int = option(100, "nms: how many boxes an image has at most")
    overlap: float = option(0.45, "nms: intersection over union above which the worse box goes")
    score: float = option(0.25, "nms: the score below which a box goes")

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: No rows, an overlap or score outside 0 to 1, half a size, or channels that
                leave no class.
        """
        sizes = [size for size in (self.height, self.width) if size is not None]
        if len(sizes) == 1 or any(size < 1 for size in sizes):
            raise ValueError("height and width must both be given, and be at least 1")
        if self.rows < 1:
            raise ValueError(f"rows must be at least 1, not {self.rows}")
        if self.channels is None and self.objectness:
            raise ValueError("objectness needs channels")
        if self.channels is not None and self.channels <= BOX + self.objectness:
            raise ValueError(f"channels must be above {BOX + self.objectness}")
        if not (0 <= self.overlap <= 1 and 0 <= self.score <= 1):
            raise ValueError("overlap and score must be 0 to 1")

    def translation(self, model: ir.Model) -> AnswerTranslation:
        """The answers in numpy.

        Raises:
            UsageError: As of `run`.
        """
        answer, sources = self._answer(model)
        return AnswerTranslation(
            tuple(str(value.name) for value in sources), self._result(sources), answer
        )

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Write the operators behind the network.

        Raises:
            UsageError: There is no such output, its sizes are open or do not fit, or the operator
                set is older than 13.
        """
        answer, sources = self._answer(model)
        result = self._result(sources)
        names = {str(value.name) for value in model.graph.outputs} - {v.name for v in sources}
        if result in names or result in {value.name for value in model.graph.inputs}:
            raise _OUTPUTS.refused(
                f"there is a '{result}' already", "result", "give another name: result=…"
            )
        node = sources[0].producer()
        if context.rewrite(node, f"{self.kind} becomes {result}"):
            answer.attach(model.graph, sources, result)

    def _result(self, sources: tuple[ir.Value, ...]) -> str:
        if self.result is not None:
            return self.result
        return "detections" if self.kind == "nms" else str(sources[0].name)

    def _answer(self, model: ir.Model) -> tuple[Answer, tuple[ir.Value, ...]]:
        """What the answer is made by, and of which outputs."""
        _OUTPUTS.check_operator_set(model, "kind")
        if self.kind == "nms":
            return self._detections(model)
        value = _OUTPUTS.chosen(model, self.output, "output")
        rank = editing.rank(value) or 0
        axis = self.axis + rank if self.axis < 0 else self.axis
        if self.kind != "ctc":
            return self._classes(value, axis), (value,)
        if rank != 3 or axis not in (1, 2):
            raise _OUTPUTS.refused(
                f"output '{value.name}' has {rank} dimensions and classes on axis {self.axis}",
                "axis",
                "ctc takes [N, classes, steps] (axis=1) or [N, steps, classes] (axis=2)",
            )
        classes, _ = (
            _OUTPUTS.known_axis(value, axis, "axis"),
            _OUTPUTS.known_axis(value, 3 - axis, "axis"),
        )
        blank = self.blank + classes if self.blank < 0 else self.blank
        if not 0 <= blank < classes:
            raise _OUTPUTS.refused(f"blank {self.blank} is none of {classes} classes", "blank")
        collapse = CtcCollapse(axis, blank)
        return Answer(collapse.build, collapse.apply), (value,)

    def _classes(self, value: ir.Value, axis: int) -> Answer:
        _OUTPUTS.known_axis(value, axis, "axis")
        maker = Softmax(axis) if self.kind == "softmax" else ArgMax(axis, self.dtype)
        if self.height is None or self.width is None:
            return Answer(maker.build, maker.apply)
        if editing.rank(value) != 4 or axis != 1:
            raise _OUTPUTS.refused(
                f"output '{value.name}' is not [N, classes, height, width]",
                "height",
                "only such scores can be resized",
            )
        for place in (2, 3):
            _OUTPUTS.known_axis(value, place, "height")
        enlarged = Enlarged(maker, (self.height, self.width), self.interpolation)
        return Answer(enlarged.build, enlarged.apply)

    def _detections(self, model: ir.Model) -> tuple[Answer, tuple[ir.Value, ...]]:
        if self.channels is not None:
            return self._joint_detections(model, self.channels)
        boxes = _OUTPUTS.chosen(model, self.boxes, "boxes")
        scores = _OUTPUTS.chosen(model, self.scores, "scores")
        if editing.rank(boxes) != 3 or editing.dimension(boxes, 2) != 4:
            raise _OUTPUTS.refused(f"output '{boxes.name}' is not [N, boxes, 4]", "boxes")
        rank, axis = editing.rank(scores), 2 if self.classes_last else 1
        if rank not in (2, 3):
            raise _OUTPUTS.refused(
                f"output '{scores.name}' has neither 2 nor 3 dimensions", "scores"
            )
        if rank == 3:
            _OUTPUTS.known_axis(scores, axis, "scores")
        place = 3 - axis if rank == 3 else 1
        count, of_scores = (
            _OUTPUTS.known_axis(boxes, 1, "boxes"),
            _OUTPUTS.known_axis(scores, place, "scores"),
        )
        if count != of_scores:
            raise _OUTPUTS.refused(
                f"'{boxes.name}' has {count} boxes, and '{scores.name}' scores of {of_scores}",
                "scores",
                "classes-last=true says that scores are [N, boxes, classes]",
            )
        maker = self._suppression(classes_last=self.classes_last)
        return Answer(maker.build, maker.apply), (boxes, scores)

    def _joint_detections(
        self, model: ir.Model, channels: int
    ) -> tuple[Answer, tuple[ir.Value, ...]]:
        value = _OUTPUTS.chosen(model, self.output, "output")
        if editing.rank(value) != 3:
            raise _OUTPUTS.refused(f"output '{value.name}' has not 3 dimensions", "output")
        sizes = {axis: _OUTPUTS.known_axis(value, axis, "channels") for axis in (1, 2)}
        axes = [axis for axis, size in sizes.items() if size == channels]
        if len(axes) != 1:
            raise _OUTPUTS.refused(
                f"output '{value.name}' is [N, {sizes[1]}, {sizes[2]}], and one of these must be "
                f"{channels}",
                "channels",
                "4 for the box, 1 for objectness where there is one, and the classes",
            )
        maker = JointDetections(self._suppression(classes_last=axes == [2]), self.objectness)
        return Answer(maker.build, maker.apply), (value,)

    def _suppression(self, *, classes_last: bool) -> Detections:
        return Detections(self.form, classes_last, self.rows, self.overlap, self.score)
