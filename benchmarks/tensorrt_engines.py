"""Engines that TensorRT builds from one model: time, size, weights, layers and what is int8.

    python benchmarks/tensorrt_engines.py lprnet.onnx --calib ../shared/lprnet/calib

Each row is one run of ``lprc compile`` as users start it, with calibration and all; nothing needs a
GPU. Times are medians of `--repeats` runs. Exits with 1 where one takes more than 5 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

TARGETS = ("trt-fp32", "trt-fp16", "trt-int8", "trt-int8-fp16")
GPUS = ("auto", "80", "86", "89", "120")
LIMIT = 5.0


def build(model: Path, calib: Path, target: str, gpu: str, *, static: bool) -> dict[str, Any]:
    """One row: compile, and read the manifest."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "engine"
        command = [
            *(sys.executable, "-m", "lprc", "compile", str(model), "--target", target),
            *("--calib", str(calib), "-o", str(out), "-O", f"compute-capability={gpu}", "-q"),
            *(("--then", "set-batch{batch=1}") if static else ()),
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        layers = json.loads((out / "layers.json").read_text(encoding="utf-8"))["layers"]
    report, files = manifest["emitter"], manifest["files"]
    return {
        "target": target,
        "gpu": gpu,
        "batch": "1" if static else "1 to 8",
        "seconds": seconds,
        "engine_bytes": files["model.engine"]["bytes"],
        "lowered_bytes": files["lowered.onnx"]["bytes"],
        "weights_bytes": report["weights_bytes"],
        "activation_bytes": report["activation_bytes"],
        "layers": report["layers"],
        "float_outputs": sum(
            tensor["type"] == "Float" for layer in layers for tensor in layer["outputs"]
        ),
        "int8": {name: counts["int8"] for name, counts in report["operators"].items()},
    }


def rows(model: Path, calib: Path, repeats: int) -> Iterator[dict[str, Any]]:
    """Every target for every GPU, static and dynamic."""
    for target in TARGETS:
        for gpu in GPUS:
            for static in (True, False):
                found = [build(model, calib, target, gpu, static=static) for _ in range(repeats)]
                yield {**found[0], "seconds": statistics.median(row["seconds"] for row in found)}


def table(engines: list[dict[str, Any]]) -> Table:
    """The rows for people."""
    shown = Table(box=None)
    for name in ("target", "GPU", "batch", "s", "engine kB", "weights kB", "memory kB", "layers"):
        shown.add_column(name, justify="right" if name not in ("target", "GPU") else "left")
    shown.add_column("int8")
    for row in engines:
        shown.add_row(
            *(row["target"], row["gpu"], row["batch"], f"{row['seconds']:.1f}"),
            *(f"{row[key] / 1e3:.0f}" for key in ("engine_bytes", "weights_bytes")),
            *(f"{row['activation_bytes'] / 1e3:.0f}", str(row["layers"])),
            ", ".join(f"{count} {name}" for name, count in row["int8"].items() if count),
        )
    return shown


def main() -> int:
    """Build, print, compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calib", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    engines = list(rows(arguments.model, arguments.calib, arguments.repeats))
    Console(width=160).print(table(engines))
    if arguments.json:
        arguments.json.write_text(json.dumps(engines, indent=1), encoding="utf-8")
    slow = [row for row in engines if row["seconds"] > LIMIT]
    print(f"{len(engines) - len(slow)} of {len(engines)} engines within {LIMIT:g} s")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
