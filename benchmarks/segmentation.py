"""SwiftNet pruned and trained again, and a U-Net in int8, on labelled scenes.

    python benchmarks/segmentation.py --data camvid --task camvid.toml \\
        --swiftnet trained/model.onnx --early early.onnx --unet unet/model.onnx --state state

`--data` has the folders ``train`` and ``val``. The networks are those of ``lprc train``; `--early`
is the same network a twentieth into its training (the ``last.pt`` of then, exported). Every step
is one ``lprc`` command, told on stderr, whose output stays in `--state`: a run that is cut off
goes on where it was. Scores are on ``val``; nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from _segmentation.artefacts import Measured, measured
from _segmentation.pruned import PRUNINGS, STARTS, Training
from _segmentation.unet import unet_rows


def main() -> None:
    """Train, measure and print the tables."""
    arguments = _arguments()
    arguments.state.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    if arguments.swiftnet is not None:
        rows["swiftnet"] = _swiftnet(arguments)
    if arguments.unet is not None:
        rows["unet"] = unet_rows(arguments)
    (arguments.state / "results.json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("--data", "--task", "--state"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--swiftnet", "--early", "--unet"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--steps", type=int, default=2500, help="of each training")
    parser.add_argument("--threads", type=int, default=1, help="of trainings and latencies")
    parser.add_argument("--prunings", nargs="+", default=[item.name for item in PRUNINGS])
    parser.add_argument("--starts", nargs="+", default=list(STARTS))
    parser.add_argument("--targets", nargs="+", default=["ov-fp32", "ov-fp16", "ov-int8",
                                                         "tvm-fp32", "tvm-int8"])  # fmt: skip
    parser.add_argument("--only-train", action="store_true")
    return parser.parse_args()


def _swiftnet(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    training = Training(
        arguments.swiftnet,
        arguments.early,
        arguments.task,
        arguments.data / "train",
        arguments.steps,
        arguments.threads,
        arguments.state,
    )
    models = {"whole": training.cleaned("whole", arguments.swiftnet)}
    if "FT" in arguments.starts:
        models["whole-FT"] = training.longer()
    for pruning in PRUNINGS:
        if pruning.name in arguments.prunings:
            for start in arguments.starts:
                models[f"{pruning.name}-{start}"] = training.trained(pruning, start)
    if arguments.only_train:
        return []
    rows = [measured(name, model, arguments) for name, model in models.items()]
    _print(rows, arguments.targets)
    return [vars(row) for row in rows]


def _print(rows: list[Measured], targets: list[str]) -> None:
    print("| network | parameters | MACs | float | " + " | ".join(targets) + " |")
    print("|---|---|---|---|" + "---|" * len(targets))
    for row in rows:
        cells = [
            f"{row.scores[target]:.4f}, {row.latencies[target]:.2f} ms" if target in row.scores
            else "–" for target in targets
        ]  # fmt: skip
        print(
            f"| {row.name} | {row.parameters / 1e6:.2f} M | {row.macs / 1e6:.0f} M "
            f"| {row.score:.4f} | {' | '.join(cells)} |"
        )


if __name__ == "__main__":
    main()
