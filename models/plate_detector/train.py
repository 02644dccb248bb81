"""Train the plate detector: ``python -m lprc.models.plate_detector.train --out DIR``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lprc.core.errors import UsageError
from lprc.core.tasks.score import Score
from lprc.models.plate_detector.frames import load_frames
from lprc.models.plate_detector.picture_pool import Kind, Order, PicturePool, SceneDrawers
from lprc.models.plate_detector.trainer import DetectorOptions, DetectorTrainer
from lprc.models.program import Program
from lprc.models.tasks.detection.matching import check_pycocotools

_HELD_OUT_SEED_OFFSET = 1_000_000
_FIRST_SCENES = 1024
"""Training begins when this many scenes are drawn."""

_LOG_EVERY = 50


class TrainingLog:
    """Lines of JSON, to a file and to the terminal.

    Args:
        path: The file to append to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = time.monotonic()

    def write(self, event: str, **fields: Any) -> None:
        """Append one event, with the seconds since the beginning."""
        seconds = round(time.monotonic() - self._start, 1)
        line = json.dumps({"event": event, "seconds": seconds, **fields})
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
        print(line, flush=True)


def scene_orders(count: int, held_out: int, seed: int, *, frames: bool) -> list[Order]:
    """Return the scenes to draw: the held-out ones, then ``count``, a third over frames."""
    orders = [Order("street", index, seed + _HELD_OUT_SEED_OFFSET) for index in range(held_out)]
    kinds: tuple[Kind, ...] = ("street", "street", "frame" if frames else "street")
    return orders + [Order(kinds[index % 3], index, seed) for index in range(count)]


def _evaluate(
    trainer: DetectorTrainer, pools: dict[str, PicturePool | None], out: Path, log: TrainingLog
) -> None:
    """Write the averaged weights and log how well they do; no score chooses what is written."""
    trainer.save(out / "best.pt")
    scores = {
        name: _numbers(trainer.score(pool))
        for name, pool in pools.items()
        if pool is not None and pool.filled
    }
    log.write("evaluated", step=trainer.step, average_precision=scores)


def _numbers(score: Score) -> dict[str, float]:
    every = {score.task.metric: score.value, **score.task.details(score.records)}
    return {key: round(value, 4) for key, value in every.items() if isinstance(value, float)}


def run_training(
    trainer: DetectorTrainer,
    frames: PicturePool | None,
    scenes: PicturePool | None,
    log: TrainingLog,
    *,
    minutes: float,
    steps: int | None,
    between_steps: Callable[[], object],
    at_quarters: Callable[[], object],
) -> None:
    """Train for ``minutes``, or for ``steps`` where given.

    Args:
        trainer: What is trained.
        frames: Photographs to draw from.
        scenes: Scenes to draw from.
        log: Gets a line every `_LOG_EVERY` steps.
        minutes: How long.
        steps: How long, instead of ``minutes``.
        between_steps: Called before each step.
        at_quarters: Called after each quarter of the training.

    Raises:
        DataError: The loss is not finite, or a scene can't be drawn.
    """
    start = last = time.monotonic()
    progress, quarters = 0.0, 0
    while progress < 1.0:
        between_steps()
        loss = trainer.train_step(trainer.batch(frames, scenes), progress)
        now = time.monotonic()
        progress = trainer.step / steps if steps else (now - start) / (60 * minutes)
        if trainer.step % _LOG_EVERY == 0:
            score, box = float(loss.score.detach()), float(loss.box.detach())
            rate = _LOG_EVERY * trainer.options.batch_size / (time.monotonic() - last)
            last = time.monotonic()
            log.write(
                "step",
                step=trainer.step,
                progress=round(progress, 4),
                score_loss=round(score, 4),
                box_loss=round(box, 4),
                images_per_second=round(rate),
                drawn=0 if scenes is None else scenes.filled,
            )
        if int(4 * min(progress, 1.0)) > quarters:
            quarters += 1
            at_quarters()


@click.command(cls=Program)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--scenes", default=20_000, show_default=True, type=click.IntRange(0))
@click.option("--held-out", default=500, show_default=True, type=click.IntRange(1))
@click.option(
    "--frames",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with train/ and val/, each pictures and COCO's instances.json.",
)
@click.option("--minutes", default=5.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--steps", type=click.IntRange(1), help="Instead of --minutes.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--batch", "batch_size", default=64, show_default=True, type=click.IntRange(2))
@click.option(
    "--frame-share",
    default=DetectorOptions.frame_share,
    show_default=True,
    type=click.FloatRange(0, 1),
)
@click.option("--learning-rate", default=3e-3, show_default=True, type=click.FloatRange(0))
@click.option("--width", default=1.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0))
@click.option("--device", default="cpu", show_default=True, type=click.Choice(["cpu", "cuda"]))
def main(
    out: Path,
    scenes: int,
    held_out: int,
    frames: Path | None,
    minutes: float,
    steps: int | None,
    workers: int,
    **options: Any,
) -> None:
    """Train the plate detector on synthetic scenes and on photographs; writes OUT/best.pt."""
    chosen = DetectorOptions(**options)
    if frames is None and not scenes:
        raise UsageError("there is nothing to train on", where="--scenes", hint="or give --frames")
    check_pycocotools()
    out.mkdir(parents=True, exist_ok=True)
    log = TrainingLog(out / "log.jsonl")
    photographs = [] if frames is None else load_frames(frames / "train")
    shown = [] if frames is None else load_frames(frames / "val")
    orders = scene_orders(scenes, held_out, chosen.seed, frames=bool(photographs))
    drawers = SceneDrawers(orders, photographs, workers)  # before the device is used
    try:
        trainer = DetectorTrainer(chosen)
        log.write("options", **asdict(chosen), parameters=_parameters(trainer))
        log.write("form", **{k: round(v, 5) for k, v in trainer.choose_form().items()})
        train_frames, val_frames = (_pool(part, chosen.device) for part in (photographs, shown))
        test_scenes = PicturePool(held_out, chosen.device)
        train_scenes = PicturePool(scenes, chosen.device)
        targets = [(held_out, test_scenes), (len(orders), train_scenes)]
        enough = min(scenes, _FIRST_SCENES)
        while train_scenes.filled < enough or test_scenes.filled < held_out:
            drawers.receive(targets, wait=True)
        log.write("training begins", drawn=train_scenes.filled)
        run_training(
            trainer,
            train_frames,
            train_scenes if scenes else None,
            log,
            minutes=minutes,
            steps=steps,
            between_steps=lambda: drawers.receive(targets, wait=False),
            at_quarters=lambda: _evaluate(
                trainer, {"val": val_frames, "scenes": test_scenes}, out, log
            ),
        )
        log.write("done", step=trainer.step, drawn=train_scenes.filled)
    finally:
        drawers.stop()


def _pool(scenes: Any, device: str) -> PicturePool | None:
    if not scenes:
        return None
    pool = PicturePool(len(scenes), device)
    pool.add_scenes(scenes)
    return pool


def _parameters(trainer: DetectorTrainer) -> int:
    return sum(parameter.numel() for parameter in trainer.model.parameters())


if __name__ == "__main__":
    main()
