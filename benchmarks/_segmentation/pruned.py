"""SwiftNet with half the channels of some of its residual blocks, trained again in several ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from _segmentation.commands import once
from _segmentation.samples import some_of

CLEANED = "infer-shapes,lift-constants,lower-cast-like,fold-constants,eliminate-dead-code"
"""BatchNormalizations stay: they are trained, and the pyramid's levels share their Convs."""

STARTS = {
    "LTH": ("--init", "rewind"),
    "FT": ("--init", "keep"),
    "RI": ("--init", "random"),
    "distilled": ("--loss", "both"),
}
"""Lottery-ticket rewinding, fine-tuning, random weights, and fine-tuning with a teacher."""


@dataclass(frozen=True)
class Pruning:
    """Where channels go.

    Attributes:
        name: For files and tables.
        stages: The stages of residual blocks that lose half their channels; the stem, whose
            channels the first stage's are added to, goes with it.
    """

    name: str
    stages: tuple[int, ...]


PRUNINGS = (Pruning("two-blocks", (0, 1)), Pruning("all-blocks", (0, 1, 2, 3)))


@dataclass(frozen=True)
class Training:
    """What all runs have in common.

    Attributes:
        whole: The trained network.
        early: The same network early in its training.
        task: The task file.
        data: Labelled images.
        steps: Of each run.
        threads: Of each run.
        folder: Where files go.
    """

    whole: Path
    early: Path
    task: Path
    data: Path
    steps: int
    threads: int
    folder: Path

    def cleaned(self, name: str, model: Path) -> Path:
        """A network in the form that weights of others can be laid over."""
        out = self.folder / f"{name}.onnx"
        return once(out, ["opt", model, "-o", out, "--passes", CLEANED, "-q"])

    def pruned(self, pruning: Pruning) -> Path:
        """The trained network without the channels, not trained again."""
        whole = self.cleaned("whole", self.whole)
        out = self.folder / f"{pruning.name}.onnx"
        options = f"ratio=0.5, scope=local, importance=taylor, exclude={_others(whole, pruning)}"
        passes = f"infer-shapes,prune-channels{{{options}}}"
        some = some_of(self.data, self.folder / "judged")
        images = ["--calib", some / "images", "--task", self.task]
        return once(out, ["opt", whole, "-o", out, "--passes", passes, *images, "-q"])

    def trained(self, pruning: Pruning, start: str) -> Path:
        """The network trained again from one of `STARTS`."""
        out = self.folder / f"{pruning.name}-{start}.onnx"
        whole = self.cleaned("whole", self.whole)
        options: list[str | Path] = [*STARTS[start], "--teacher", whole]
        if start != "distilled":
            options += ["--loss", "labels"]
        if start == "LTH":
            options += ["--rewind-to", self.cleaned("early", self.early)]
        return self._tuned(self.pruned(pruning), out, options)

    def longer(self) -> Path:
        """The whole network trained as much longer as the pruned ones are: what to compare with."""
        whole = self.cleaned("whole", self.whole)
        return self._tuned(whole, self.folder / "whole-FT.onnx", ["--loss", "labels"])

    def _tuned(self, model: Path, out: Path, options: list[str | Path]) -> Path:
        run = ["--steps", str(self.steps), "--batch", "8", "--rate", "2e-3", "--update-statistics"]
        run += ["--evaluate-every", "500", "--threads", str(self.threads), "--hold-out", "0.03"]
        data = ["--data", self.data, "--task", self.task]
        return once(out, ["finetune", model, "-o", out, *data, *options, *run, "-q"])


def _others(model: Path, pruning: Pruning) -> str:
    """The Convs whose channels stay, as a list of options."""
    pruned_prefixes: Sequence[str] = [f"stages.{stage}." for stage in pruning.stages] + ["stem/"]
    names = [node.name for node in onnx.load(model).graph.node if node.op_type == "Conv"]
    return ",".join(name for name in names if not name.startswith(tuple(pruned_prefixes)))
