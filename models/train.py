"""Train LPRNet on synthetic plates: ``python -m lprc.models.train --out DIR``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from lprc.models.european import european_plate
from lprc.models.plate_config import PlateConfig
from lprc.models.plate_set import PlateSet, render_in_processes, render_plates
from lprc.models.program import Program
from lprc.models.synthetic import synthetic_plate
from lprc.models.trainer import Trainer, TrainOptions
from lprc.models.training_loop import Look, train_to_the_end
from lprc.models.training_state import chosen_device

log = logging.getLogger("lprc.models.train")

_HELD_OUT_SEED_OFFSET = 1_000_000


def train(
    trainer: Trainer,
    plates: PlateSet,
    held_out: PlateSet,
    out: Path,
    *,
    target_accuracy: float,
    evaluate_every: int,
    progress: Progress,
) -> float:
    """Train until the last step or ``target_accuracy``; return the best held-out exact match.

    ``out`` gets ``last.pt`` after every evaluation and ``best.pt`` after each that is no worse
    than all before it.

    Raises:
        DataError: The loss is not finite.
    """
    task = progress.add_task("training", total=trainer.options.steps, completed=trainer.step)

    def looked(look: Look) -> None:
        log.info("%s, held-out exact match %.4f", look, look.score)
        progress.update(task, description=f"training, exact match {look.score:.3f}")

    return train_to_the_end(
        trainer,
        out,
        steps=trainer.options.steps,
        train_step=lambda: trainer.train_step(plates),
        score=lambda: trainer.exact_match(held_out),
        evaluate_every=evaluate_every,
        progress=lambda done, total: progress.update(task, completed=done, total=total),
        looked=looked,
        enough=target_accuracy,
    )


def _render(
    count: int, seed: int, kind: str, config: PlateConfig, workers: int, progress: Progress
) -> PlateSet:
    draw = european_plate if kind == "european" else synthetic_plate
    task = progress.add_task(f"rendering plates of seed {seed}", total=count)
    if workers > 1:
        plates = render_in_processes(count, seed, config, workers=workers, draw=draw)
    else:
        plates = render_plates(
            count, seed, config, draw=draw, advance=lambda: progress.advance(task)
        )
    log.info("rendered %d plates of seed %d", count, seed)
    return plates


@click.command(cls=Program)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--steps", default=TrainOptions.steps, show_default=True, type=click.IntRange(1))
@click.option(
    "--batch-size", default=TrainOptions.batch_size, show_default=True, type=click.IntRange(1)
)
@click.option(
    "--plates",
    default=TrainOptions.plates,
    show_default=True,
    type=click.IntRange(1),
    help="To train on.",
)
@click.option(
    "--held-out",
    default=TrainOptions.held_out,
    show_default=True,
    type=click.IntRange(1),
    help="To test on.",
)
@click.option(
    "--seed",
    default=TrainOptions.seed,
    show_default=True,
    type=click.IntRange(0),
)
@click.option(
    "--learning-rate",
    default=TrainOptions.learning_rate,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
)
@click.option(
    "--dropout",
    default=TrainOptions.dropout,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
)
@click.option(
    "--precision",
    default=TrainOptions.precision,
    show_default=True,
    type=click.Choice(["float32", "bfloat16"]),
)
@click.option("--device", default="auto", type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores by default.")
@click.option(
    "--target-accuracy",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Stop at this held-out exact match.",
)
@click.option("--evaluate-every", default=200, show_default=True, type=click.IntRange(1))
@click.option("--resume", type=click.Path(path_type=Path, exists=True), help="A last.pt.")
@click.option(
    "--kind",
    default="synthetic",
    show_default=True,
    type=click.Choice(["synthetic", "european"]),
    help="Which plates: those of lprc.models.synthetic or of lprc.models.european.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Processes that render.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log each evaluation.")
def main(
    out: Path,
    device: str,
    threads: int | None,
    target_accuracy: float,
    evaluate_every: int,
    resume: Path | None,
    verbose: bool,
    kind: str,
    workers: int,
    **options: Any,
) -> None:
    """Train LPRNet on synthetic plates."""
    import torch

    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = TrainOptions(device=chosen_device(device), **options)
    config = PlateConfig.named("synthetic" if kind == "synthetic" else "european")
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(chosen, config)
    if resume is not None:
        trainer.load(resume)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        plates = _render(chosen.plates, chosen.seed, kind, config, workers, progress)
        held_out = _render(
            chosen.held_out, chosen.seed + _HELD_OUT_SEED_OFFSET, kind, config, workers, progress
        )
        best = train(
            trainer,
            plates,
            held_out,
            out,
            target_accuracy=target_accuracy,
            evaluate_every=evaluate_every,
            progress=progress,
        )
    click.echo(f"{out / 'best.pt'}: held-out exact match {best:.4f} after {trainer.step} steps")


if __name__ == "__main__":
    main()
