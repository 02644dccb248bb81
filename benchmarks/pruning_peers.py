"""`prune-channels` beside torch-pruning: same nets, same MACs, same importance, no training after.

    pip install --no-deps torch-pruning   # 1.6.1 was measured; lprc does not depend on it
    python benchmarks/pruning_peers.py [--macs 0.7,0.5] [--data ../shared/lprnet]

(A file called torch_pruning.py here would hide the package.)

Two small networks are trained for a minute on scikit-learn's handwritten digits; LPRNet comes with
its real weights where `--data` has them. Outputs are compared with the unpruned network's on images
that were not trained on: the share of equal decisions (of decoded plates for LPRNet), and the ratio
of signal to noise of the logits.
"""

from __future__ import annotations

import argparse
import copy
import functools
import io
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lprc.core.costs.statistics import model_statistics
from lprc.core.files.image_listing import list_images
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Session
from lprc.models.checkpoint import load_checkpoint
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.plate_config import PlateConfig

PREPARE = """lift-constants,infer-shapes,fold-constants,infer-shapes,fold-constants,infer-shapes,
eliminate-identity,fold-bn,infer-shapes"""

Logits = NDArray[np.float32]
Decide = Callable[[Logits], list[Any]]


@dataclass(frozen=True)
class Case:
    """A network, what to fit to and to compare on, and the layer that must keep its outputs."""

    name: str
    network: nn.Module
    fit: Tensor
    images: Tensor
    last: str
    decide: Decide


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):  # type: ignore[no-untyped-def]
    """A Conv without bias and its BatchNormalization."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """A CIFAR ResNet's block, with a 1×1 Conv in the shortcut where the width changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv_bn(inputs, outputs, 3, stride), conv_bn(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        return functional.relu(self.shortcut(x) + self.second(functional.relu(self.first(x))))


class Inverted(nn.Module):
    """MobileNetV2's inverted residual."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        hidden = 4 * inputs
        self.body = nn.Sequential(
            conv_bn(inputs, hidden, 1), nn.ReLU6(), conv_bn(hidden, hidden, 3, stride, hidden),
            nn.ReLU6(), conv_bn(hidden, outputs, 1),
        )  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y: Tensor = self.body(x)
        return x + y if self.adds else y


def cifar_resnet() -> nn.Module:
    """A ResNet-14 of widths 16, 32 and 64; its last layer is called ``last``."""
    shapes = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
    return _named(conv_bn(3, 16), nn.ReLU(), *(Residual(*shape) for shape in shapes), width=64)


def mobilenet() -> nn.Module:
    """Six inverted residuals; its last layer is called ``last``."""
    shapes = [(16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 32, 1)]
    blocks = [Inverted(*shape) for shape in shapes]
    return _named(conv_bn(3, 16), nn.ReLU6(), *blocks, conv_bn(32, 64, 1), nn.ReLU6(), width=64)


def _named(*body: nn.Module, width: int) -> nn.Module:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential()
    network.add_module("body", nn.Sequential(*body))
    network.add_module("head", head)
    network.add_module("last", nn.Linear(width, 10))
    return network


def digits() -> tuple[Tensor, Tensor]:
    """Handwritten digits: float32 [1797, 3, 16, 16] around 0, and int64 [1797]."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32)[:, None] / 8 - 1
    images = functional.interpolate(images, size=(16, 16), mode="bilinear")
    return images.repeat(1, 3, 1, 1), torch.tensor(found.target)


def trained(build: Callable[[], nn.Module], epochs: int = 6) -> Case:
    """A network after a few epochs on two thirds of the digits."""
    torch.manual_seed(0)
    images, labels = digits()
    fit, wanted = images[:1200], labels[:1200]
    network = build()
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for part in torch.randperm(len(fit)).split(64):
            optimiser.zero_grad()
            functional.cross_entropy(network(fit[part]), wanted[part]).backward()
            optimiser.step()
    network.eval()
    with torch.no_grad():
        right = (network(images[1200:]).argmax(1) == labels[1200:]).float().mean()
    name = build.__name__.replace("_", "-")
    print(f"{name}: accuracy {right:.3f} before pruning", file=sys.stderr)
    return Case(name, network, fit[:200], images[1200:], "last", _largest)


def _largest(logits: Logits) -> list[Any]:
    return list(logits.argmax(1))


def lprnet(data: Path) -> Case:
    """The real LPRNet, the pools as Slice and MaxPool2d, which torch-pruning can follow."""
    config = PlateConfig.named("lprnet")
    network = load_checkpoint(data / "Final_LPRNet_model.pth", pool="slice")
    images = torch.tensor(load_batch(list_images(data / "calib"), config))
    decide = functools.partial(greedy_decode, alphabet=config)
    return Case("lprnet", network.eval(), images[::5], images[1::5], "container.0", decide)


def exported(network: nn.Module, image: Tensor) -> bytes:
    """The network as ONNX, prepared as for any target, at batch 1."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (image[:1],), file, dynamo=False, opset_version=17, input_names=["image"]
        )
    model = model_io.from_proto(onnx.load_from_string(file.getvalue()))
    PassManager(Pipeline.parse(PREPARE)).run(model)
    return model_io.to_bytes(model)


def macs(data: bytes) -> int:
    """Counted alike for all."""
    return model_statistics(model_io.from_proto(onnx.load_from_string(data))).macs


def ours(case: Case, data: bytes, share: float, options: str) -> bytes:
    """`prune-channels`, and what comes behind it."""
    model = model_io.from_proto(onnx.load_from_string(data))
    samples = [{"image": image[None].numpy()} for image in case.fit]
    text = f"prune-channels{{target-macs={share},{options}"
    PassManager(Pipeline.parse(text), calibration=samples).run(model)
    return model_io.to_bytes(model)


def theirs(case: Case, share: float, limit: int, *, everywhere: bool) -> bytes:
    """torch-pruning's magnitude pruner, its ratio bisected until the MACs are what was asked.

    Raises:
        ValueError: It gives a network that does not run, or never as small a one.
    """
    import torch_pruning as tp

    def pruned(ratio: float) -> bytes:
        network = copy.deepcopy(case.network)
        tp.pruner.BasePruner(
            network,
            case.images[:1],
            importance=tp.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=ratio,
            global_pruning=everywhere,
            ignored_layers=[network.get_submodule(case.last)],
        ).step()
        return exported(network, case.images)

    low, high, best = 0.0, 0.95, None
    for _ in range(8):
        middle = (low + high) / 2
        data = pruned(middle)
        if macs(data) <= share * limit:
            best, high = data, middle
        else:
            low = middle
    if best is None:
        raise ValueError(f"never below {share:.0%} of the MACs")
    return best


def outputs(data: bytes, images: Tensor) -> Logits:
    """Of each image by itself: float32 [N, …]."""
    session = Session(data, optimize=True)
    (name,) = session.output_names
    return np.concatenate([session.run({"image": each[None].numpy()})[name] for each in images])


def compared(case: Case, wanted: Logits, logits: Logits) -> tuple[float, float]:
    """The share of equal decisions, and the ratio of signal to noise in decibels."""
    pairs = zip(case.decide(wanted), case.decide(logits), strict=True)
    noise = float(np.square(logits - wanted).sum())
    ratio = 10 * math.log10(float(np.square(wanted).sum()) / max(noise, 1e-30))
    return float(np.mean([a == b for a, b in pairs])), ratio


OURS = {
    "lprc, l2, global": "importance=l2}",
    "lprc, l2, local": "importance=l2,scope=local}",
    "lprc, taylor, reconstruct": "importance=taylor},reconstruct",
}

THEIRS = {"torch-pruning, l2, global": True, "torch-pruning, l2, local": False}


def rows(case: Case, shares: list[float]) -> Iterator[list[str]]:
    """One row for each share and way."""
    data = exported(case.network, case.images)
    whole, wanted = macs(data), outputs(data, case.images)
    for share in shares:
        ways: dict[str, Callable[[], bytes]] = {
            name: functools.partial(theirs, case, share, whole, everywhere=everywhere)
            for name, everywhere in THEIRS.items()
        }
        ways |= {
            name: functools.partial(ours, case, data, share, text) for name, text in OURS.items()
        }
        for name, way in ways.items():
            try:
                pruned = way()
                agree, decibels = compared(case, wanted, outputs(pruned, case.images))
            except Exception as error:  # noqa: BLE001 whatever the other tool or torch's exporter raises
                reason = str(error).splitlines()[0][:70]
                yield [case.name, f"{share:.0%}", name, "fails:", reason, ""]
                continue
            left = f"{macs(pruned) / whole:.1%}"
            yield [case.name, f"{share:.0%}", name, left, f"{agree:.3f}", f"{decibels:.1f}"]


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--macs", default="0.7,0.5")
    parser.add_argument("--data", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shares = [float(share) for share in arguments.macs.split(",")]
    cases = [functools.partial(trained, build) for build in (cifar_resnet, mobilenet)]
    if arguments.data is not None:
        cases.insert(0, functools.partial(lprnet, arguments.data))
    print("| net | MACs asked | | MACs left | agreement | SNR dB |\n|---|---|---|---|---|---|")
    for make in cases:
        for row in rows(make(), shares):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
