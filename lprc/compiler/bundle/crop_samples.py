"""What a model behind a detector will see: crops that the compiled detector makes of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lprc.compiler.bundle.stages import Stage
from lprc.compiler.frames.crops import crops
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.core.errors import DataError
from lprc.core.running.numerics import Session
from lprc.core.tasks.image_files import read_image


def crop_samples(
    pipeline: FramePipeline, stages: Sequence[Stage], name: str, frames: Path, folder: Path
) -> Path:
    """A folder of crops to calibrate a model with.

    Args:
        pipeline: The file.
        stages: The models in front of it, compiled; the first reads frames.
        name: The model.
        frames: Images of frames.
        folder: Where crops go.

    Raises:
        DataError: Frames that can't be read, or nothing is found in them; or a model between
            reads crops itself, which nobody makes here.
    """
    (edge,) = (edge for edge in pipeline.file.edges if edge.to == name)
    stage = next(stage for stage in stages if stage.name == edge.source)
    if stage.edge is not None:
        raise DataError(
            f"'{stage.name}' in front of it reads crops itself",
            where=pipeline.key("models", name),
            hint="name images of what it sees as its calib",
        )
    session, output = Session(stage.lowered), stage.task.settings.output  # type: ignore[attr-defined]
    if edge.min_score is None:
        edge = edge.model_copy(update={"min_score": output.shown_threshold})
    count = 0
    for path in stage.task.unlabelled(frames):
        image = read_image(path)
        array = stage.task.input.array(image)[None]
        places = [stage.task.input.placement(image.size)]
        (boxes,) = stage.task.answers(session.run({stage.interface.image_input: array}), places)
        for crop in crops(image, boxes, edge, output.classes):
            crop.image.save(folder / f"{count:06}.png")
            count += 1
    if not count:
        raise DataError(
            f"'{stage.name}' finds nothing in them to calibrate '{name}' with",
            where=str(frames),
            hint="frames with what it is to find, or a lower min-score",
        )
    return folder
