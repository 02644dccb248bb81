"""Average precision and latency of the plate detector's artefacts on photographs of plates.

    python benchmarks/detector.py --write-calib calib      # preprocessed training frames
    lprc compile models/plate_detector.onnx --target ov-int8 --calib calib -o build/ov-int8
    python benchmarks/detector.py models/plate_detector.onnx build/ov-int8

Prints a Markdown table. Artefacts are run one image at a time; their latencies are measured in
turn in one process, and *× first* is the median over that of the artefact named first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lprc import api
from lprc.compiler.artifact.artifact import open_artifact
from lprc.models.plate_detector.augmentation import letterboxed
from lprc.models.plate_detector.evaluation import Detector, score_pool
from lprc.models.plate_detector.frames import load_frames
from lprc.models.plate_detector.picture_pool import PicturePool

FRAMES = Path(__file__).resolve().parents[2] / "shared" / "frames"
SIZE = (384, 640)
"""Height and width of the shipped detector's input."""


def network_inputs(pool: PicturePool) -> NDArray[np.float32]:
    """Return the pool's pictures as the network takes them, float32 [n, 3, 384, 640]."""
    inputs: NDArray[np.float32] = letterboxed(pool.images[: pool.filled], *SIZE).numpy()
    return inputs


def detector_of(name: str, threads: int) -> Detector:
    """Open an artefact or model file as what `score_pool` takes."""
    runner = open_artifact(name).runner(threads=threads)

    def detect(images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = runner.run({"image": images.numpy()})
        return torch.from_numpy(outputs["scores"]), torch.from_numpy(outputs["boxes"])

    return detect


def frame_pool(folder: Path, step: int = 1) -> PicturePool:
    """Load every ``step``-th photograph of ``folder``."""
    frames = load_frames(folder)[::step]
    pool = PicturePool(len(frames), "cpu")
    pool.add_scenes(frames)
    return pool


def write_calibration(folder: Path, frames: Path) -> None:
    """Write every fourth training frame as an ``.npy`` file."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(network_inputs(frame_pool(frames / "train", step=4))):
        np.save(folder / f"{index:03}.npy", image)


def print_table(names: list[str], frames: Path, threads: int, rounds: int) -> None:
    """Score and measure the artefacts."""
    pool = frame_pool(frames / "val")
    image = network_inputs(pool)[:1]
    scores = [score_pool(detector_of(name, threads), pool, SIZE, batch=1) for name in names]
    rows = api.bench(*names, inputs=[{"image": image}], threads=threads, rounds=rounds, warmup=5)
    print("| artefact | AP@50 | AP@75 | AP | recall | size, kB | median, ms | × first |")
    print("|---|---|---|---|---|---|---|---|")
    for name, score, row in zip(names, scores, rows, strict=True):
        accuracy = (score.at_50, score.at_75, score.mean, score.recall_50)
        cells = " | ".join(f"{value:.3f}" for value in accuracy)
        latency = f"{row.median_ms:.2f} | {row.ratio_to_first:.2f}"
        print(f"| {name} | {cells} | {row.size_bytes / 1000:.0f} | {latency} |")


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artefacts", nargs="*", help="folders of lprc compile, or model files")
    parser.add_argument("--frames", type=Path, default=FRAMES, help="a folder with train/ and val/")
    parser.add_argument("--write-calib", type=Path, metavar="DIR", help="write calibration arrays")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=150)
    arguments = parser.parse_args()
    if arguments.write_calib:
        write_calibration(arguments.write_calib, arguments.frames)
    if arguments.artefacts:
        print_table(arguments.artefacts, arguments.frames, arguments.threads, arguments.rounds)


if __name__ == "__main__":
    main()
