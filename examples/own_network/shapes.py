"""A network that is not LPRNet: it tells circles, squares and triangles apart.

``python shapes.py`` draws images (``shapes/train``, ``shapes/calib``, ``shapes/test``), trains for
half a minute, and writes the checkpoint ``shapes.pth`` and the ONNX file ``shapes.onnx``.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import nn

CLASSES = ("circle", "square", "triangle")
SIDE = 48
SETS = {"train": (900, 1), "calib": (60, 2), "test": (300, 3)}


def draw(shape: str, random: np.random.Generator) -> Image.Image:
    """One shape of any colour, somewhere in noise."""
    image = Image.fromarray(random.integers(0, 200, (SIDE, SIDE, 3), dtype=np.uint8))
    left, top = random.integers(2, 26, 2).tolist()
    size = int(random.integers(9, 20))
    box = (left, top, left + size, top + size)
    color = tuple(random.integers(90, 255, 3).tolist())
    pen = ImageDraw.Draw(image)
    if shape == "circle":
        pen.ellipse(box, fill=color)
    elif shape == "square":
        pen.rectangle(box, fill=color)
    else:
        pen.polygon([(left, box[3]), (box[2], box[3]), (left + size // 2, top)], fill=color)
    return image


def write_set(folder: Path, count: int, seed: int) -> None:
    """Write `count` images, and ``labels.csv`` with the columns ``file`` and ``label``."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("file", "label")]
    for number in range(count):
        shape = CLASSES[number % len(CLASSES)]
        draw(shape, random).save(folder / f"{number:03}.png")
        rows.append((f"{number:03}.png", shape))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def preprocessed(path: Path) -> NDArray[np.float32]:
    """An image as the network's input: RGB, from 0 to 1, float32 [3, height, width]."""
    return np.asarray(Image.open(path).convert("RGB"), np.float32).transpose(2, 0, 1) / 255


def network() -> nn.Sequential:
    """Three blocks of convolutions, a mean over the image, one linear layer."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(CLASSES))]
    return nn.Sequential(*block(3, 16), *block(16, 32), *block(32, 64), *head)


def train(model: nn.Sequential, folder: Path, epochs: int = 16) -> None:
    """Train `model` on the images of `folder`."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = torch.tensor(np.stack([preprocessed(folder / row["file"]) for row in rows]))
    labels = torch.tensor([CLASSES.index(row["label"]) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters())
    steps = epochs * -(-len(rows) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(rows)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
            schedule.step()


def main() -> None:
    """Draw, train, save, export."""
    torch.manual_seed(1)
    torch.set_num_threads(1)  # more would wait for each other on a busy machine
    for name, (count, seed) in SETS.items():
        write_set(Path("shapes") / name, count, seed)
    model = network()
    train(model, Path("shapes/train"))
    torch.save(model.eval().state_dict(), "shapes.pth")
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, SIDE, SIDE),),
        "shapes.onnx",
        input_names=["image"],
        output_names=["scores"],
        dynamic_shapes=[{0: torch.export.Dim("batch")}],
        dynamo=True,
        external_data=False,
    )


if __name__ == "__main__":
    main()
