"""Training: it learns, it resumes to the same weights, and it refuses what can't work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from lprc.core.errors import DataError
from lprc.models.losses import align, plate_loss
from lprc.models.plate_config import PlateConfig
from lprc.models.plate_set import LONGEST_LABEL, TIME_STEPS, PlateSet
from lprc.models.train import main, train
from lprc.models.trainer import Trainer, TrainOptions

torch = pytest.importorskip("torch", reason="training needs lprc[torch]")

TINY = TrainOptions(steps=6, batch_size=4, plates=8, held_out=8, seed=3)


@pytest.fixture(scope="module")
def config() -> PlateConfig:
    return PlateConfig.named("synthetic")


@pytest.fixture(scope="module")
def plates(config: PlateConfig) -> PlateSet:
    """Eight flat-coloured images with made-up labels: nothing that needs a font."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (8, 4, 16, 3), np.uint8)
    images = np.repeat(np.repeat(coarse, 6, axis=1), 6, axis=2)[:, :, : config.width]
    targets = np.zeros((8, LONGEST_LABEL), np.int64)
    targets[:, :6] = rng.integers(0, config.blank, (8, 6))
    centres = (np.arange(6) + 0.5) * config.width / 6
    frames = np.stack(
        [
            align(row[:6], centres, width=config.width, steps=TIME_STEPS, blank=config.blank)
            for row in targets
        ]
    )
    labels = tuple("".join(config.alphabet[c] for c in row[:6]) for row in targets)
    return PlateSet(images, labels, targets, np.full(8, 6), frames)


def run(trainer: Trainer, plates: PlateSet, out: Path, *, target_accuracy: float = 2.0) -> float:
    return train(
        trainer,
        plates,
        plates,
        out,
        target_accuracy=target_accuracy,
        evaluate_every=3,
        progress=Progress(disable=True),
    )


def test_training_learns_a_few_plates_by_heart(
    config: PlateConfig, plates: PlateSet, tmp_path: Path
) -> None:
    options = replace(TINY, steps=150, batch_size=8, dropout=0.0)
    trainer = Trainer(options, config)
    assert trainer.exact_match(plates) == 0
    best = train(
        trainer,
        plates,
        plates,
        tmp_path,
        target_accuracy=1.0,
        evaluate_every=10,
        progress=Progress(disable=True),
    )
    assert best == 1.0
    assert trainer.step < options.steps, "the target accuracy stops the training"


def test_resumed_training_ends_in_the_same_weights(
    config: PlateConfig, plates: PlateSet, tmp_path: Path
) -> None:
    through = Trainer(TINY, config)
    run(through, plates, tmp_path)

    stopped = Trainer(TINY, config)
    for _ in range(3):
        stopped.train_step(plates)
    stopped.save(tmp_path / "stopped.pt")
    torch.rand(7)  # another process has another random state
    resumed = Trainer(TINY, config)
    resumed.load(tmp_path / "stopped.pt")
    assert resumed.step == 3
    run(resumed, plates, tmp_path)

    for name, value in through.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_resuming_under_other_options_is_refused(config: PlateConfig, tmp_path: Path) -> None:
    Trainer(TINY, config).save(tmp_path / "last.pt")
    with pytest.raises(DataError, match="batch_size was 4 and is 2"):
        Trainer(replace(TINY, batch_size=2), config).load(tmp_path / "last.pt")


def test_resuming_from_weights_alone_is_refused(config: PlateConfig, tmp_path: Path) -> None:
    trainer = Trainer(TINY, config)
    torch.save(trainer.model.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(DataError, match=r"last\.pt"):
        trainer.load(tmp_path / "weights.pt")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    with pytest.raises(DataError, match=r"last\.pt"):
        trainer.load(tmp_path / "text.pt")


def test_each_epoch_shows_every_plate_once() -> None:
    first = np.concatenate([TINY.batch_at(step) for step in range(2)])
    second = np.concatenate([TINY.batch_at(step) for step in range(2, 4)])
    assert sorted(first) == sorted(second) == list(range(8))
    assert list(first) != list(second)


def test_alignment_weight_falls_to_nothing() -> None:
    options = TrainOptions(steps=100, alignment=2.0, alignment_fraction=0.5)
    weights = [options.alignment_at(step) for step in range(100)]
    assert weights[0] == 2.0
    assert weights[25] == pytest.approx(1.0)
    assert set(weights[50:]) == {0.0}


def test_align_puts_each_character_where_it_is_seen() -> None:
    frames = align(np.array([5, 5, 7]), np.array([-1.0, 12.0, 95.0]), width=94, steps=18, blank=9)
    assert frames.tolist() == [5, 9, 5] + [9] * 14 + [7]


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(DataError, match="learning rate"):
        plate_loss(
            torch.full((1, 4, 18), float("nan")),
            torch.zeros((1, 8), dtype=torch.int64),
            torch.tensor([3]),
            torch.zeros((1, 18), dtype=torch.int64),
            blank=3,
            alignment=0.0,
        )


def test_too_few_plates_for_a_batch_is_an_error(config: PlateConfig) -> None:
    with pytest.raises(DataError, match="--plates"):
        Trainer(replace(TINY, plates=3), config)


def test_command_line_ends_an_error_with_its_exit_code(tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), "--plates", "3", "--batch-size", "4"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == DataError.exit_code
    assert "make the batch smaller" in result.output


def test_command_line_lists_its_options() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "--target-accuracy" in result.output
