"""The networks, targets and listings that `same_artefacts.py` compares."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from lprc.core.passing.pass_registry import pass_names
from lprc.core.targets.target import target, target_names

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "compiler"))

import zoo  # noqa: E402 - tests/ is no package

IMAGES = 8
"""Calibration images; what is computed from them is as different as from more."""

PREPROCESSING = """\
alphabet = "0123456789"
width = 32
height = 32
channels = "RGB"
mean = 127.5
scale = 0.0078125
"""
"""Of the images for networks that are not LPRNet: their inputs are 3 x 32 x 32."""

ZOO = (
    (zoo.Residual, "export"),
    (zoo.UNet, "trace"),
    (zoo.Depthwise, "trace"),
    (zoo.Shuffled, "export"),
)
"""Networks with seeded weights, from both of torch's exporters."""

QUICK_NETWORKS = ("lprnet_synthetic", "Residual")
QUICK_TARGETS = ("onnx-qdq", "ort-int8", "openvino-int8-fp16", "tensorrt-int8-fp16", "tvm-int8")

CLEAN = "infer-shapes,lift-constants,fold-constants,fold-bn"

PIPELINES = {
    "onnx: equalised": f"{CLEAN},equalize,smooth-quant{{conv=true}}",
    "onnx: rounded": f"{CLEAN},calibrate,adaround,correct-bias,insert-qdq",
    "onnx: 8-bit weights": f"{CLEAN},quantize-weights",
    "onnx: pruned": f"{CLEAN},prune-channels{{target-macs=0.7}},reconstruct",
    "onnx: others' passes": "simplify,onnx-optimizer",
}
"""Pipelines for the target onnx with the passes that no target's own pipeline has."""


@dataclass(frozen=True)
class Case:
    """One run of lprc.

    Attributes:
        row: Of the table: the target, or what is listed.
        column: Of the table: the network.
        arguments: Of lprc, but for the folder to write.
    """

    row: str
    column: str
    arguments: tuple[str, ...]

    def output(self, folder: Path) -> tuple[str, ...]:
        """Where ``lprc compile`` writes: by its whole path, as old TVM workers take no other."""
        return ("-o", str(folder / "out")) if self.arguments[0] == "compile" else ()


@dataclass(frozen=True)
class Network:
    """A model's file, and the images that it is calibrated with.

    Attributes:
        model: An ONNX file; its stem is the network's name.
        images: A folder with `IMAGES` images.
        plates: How images become inputs: a file, or None for what the model's classes say.
    """

    model: Path
    images: Path
    plates: Path | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of ``lprc compile``."""
        plates = ("--task", str(self.plates)) if self.plates else ()
        return str(self.model), "--calib", str(self.images), *plates


def listings(*, quick: bool) -> Iterator[Case]:
    """What ``lprc passes`` and ``lprc targets`` print, for all and for each."""
    for kind, names in (("passes", pass_names()), ("targets", target_names())):
        for arguments in ((), ("--json",), *(() if quick else ((name,) for name in names))):
            yield Case(f"lprc {kind}", "listings", (kind, *arguments))


def networks(folder: Path, *, quick: bool) -> list[Network]:
    """Write the models and their images under `folder`, which is made."""
    synthetic = folder / "synthetic"
    copied(ROOT / "models" / "synthetic_plates" / "calib", synthetic)
    preprocessing = folder / "preprocessing.toml"
    preprocessing.write_text(PREPROCESSING, encoding="utf-8")
    listed = []
    for network, exporter in ZOO:
        if network.__name__ in QUICK_NETWORKS or not quick:
            model = folder / f"{network.__name__}.onnx"
            onnx.save(zoo.exported(network, exporter), model)
            listed.append(Network(model, synthetic, preprocessing))
    listed.append(Network(ROOT / "models" / "lprnet_synthetic.onnx", synthetic))
    data = Path(os.environ.get("LPRC_DATA", ROOT.parent / "shared" / "lprnet"))
    weights = data / "Final_LPRNet_model.pth"
    if weights.is_file() and not quick:
        listed.append(real_lprnet(weights, data / "calib", folder))
    return listed


def real_lprnet(weights: Path, images: Path, folder: Path) -> Network:
    """The trained LPRNet with real plates."""
    from lprc.models.checkpoint import load_checkpoint
    from lprc.models.export import export_onnx

    model = folder / "LPRNet.onnx"
    export_onnx(load_checkpoint(weights), model)
    copied(images, folder / "plates")
    return Network(model, folder / "plates")


def copied(images: Path, folder: Path) -> None:
    """Copy the first `IMAGES` images to `folder`, which is made."""
    folder.mkdir(parents=True)
    for image in sorted(images.glob("*.jpg"))[:IMAGES]:
        shutil.copy(image, folder)


def compilations(models: Iterable[Network], *, quick: bool, engines: bool) -> Iterator[Case]:
    """Each network for each target and through `PIPELINES`; small networks come first."""
    for network in models:
        for name in QUICK_TARGETS if quick else target_names():
            emitted = ready_to_load(name) if engines else ("--emit", "onnx")
            yield compilation(network, name, name, emitted)
        for row, pipeline in () if quick else PIPELINES.items():
            yield compilation(network, row, "onnx", ("--emit", "onnx", "--passes", pipeline))


def compilation(network: Network, row: str, name: str, options: tuple[str, ...]) -> Case:
    """One run of ``lprc compile``, without the cache."""
    common = ("--target", name, "--no-cache", "-q")
    return Case(row, network.model.stem, ("compile", *network.arguments, *common, *options))


def ready_to_load(name: str) -> tuple[str, ...]:
    """Options for a build that repeats: TensorRT gives dynamic engines other bytes each time."""
    return ("--then", "set-batch{batch=1}") if target(name).runtime == "tensorrt" else ()
