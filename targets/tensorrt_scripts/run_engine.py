"""Run a TensorRT engine on an NVIDIA GPU, compare its outputs with stored ones, and time it.

    python run_engine.py model.engine reference.npz

The reference holds arrays `input:NAME` and `output:NAME`. Needs numpy, cuda-bindings and
tensorrt-rtx or tensorrt; the files beside this one belong to it, lprc is not needed.

Exit codes: 0 within the tolerance, 1 outside of it, 2 it can't be run or compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import numpy as np
except ImportError as error:
    if __name__ != "__main__":
        raise
    print(f"{error}\n  pip install numpy", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING or __package__:
    from lprc.targets.tensorrt_scripts import cuda_device
    from lprc.targets.tensorrt_scripts.engine import Array, Arrays, Engine
    from lprc.targets.tensorrt_scripts.execution import Replay
else:  # in a kit, where the scripts lie side by side
    import cuda_device
    from engine import Array, Arrays, Engine
    from execution import Replay

WARMUP = 20
"""Runs that are not timed, in which clocks rise and caches fill."""


class BadReference(cuda_device.EngineError):
    """A file of reference arrays that can't be used."""


def read_reference(path: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """The inputs and the outputs of a reference file.

    Raises:
        BadReference: It can't be read, or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except FileNotFoundError as error:
        raise BadReference(f"{path}: no such file", "name the kit's reference file") from error
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        # AttributeError: one array, of np.save
        raise BadReference(f"{path} can't be read: {error}", "copy the kit again") from error
    groups: dict[str, dict[str, Array]] = {"input": {}, "output": {}}
    for key, array in arrays.items():
        group, _, name = key.partition(":")
        if group not in groups or not name:
            raise BadReference(
                f"{path}: unknown array '{key}'", "arrays are called input:NAME and output:NAME"
            )
        groups[group][name] = array
    if not all(groups.values()):
        raise BadReference(f"{path} holds no inputs or no outputs", "copy the kit again")
    return groups["input"], groups["output"]


def difference(wanted: Array, computed: Array) -> tuple[float, float]:
    """The largest absolute difference, and the same over the largest value of `wanted`.

    Both are infinite where the shapes or element types differ, or one alone is not a number.
    """
    if wanted.shape != computed.shape or wanted.dtype != computed.dtype:
        return float("inf"), float("inf")
    same = (wanted == computed) | ((wanted != wanted) & (computed != computed))
    if same.all():
        return 0.0, 0.0
    with np.errstate(invalid="ignore"):
        apart = np.abs(wanted.astype(np.float64) - computed.astype(np.float64))[~same]
    largest = float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max())
    finite = np.abs(wanted.astype(np.float64))[np.isfinite(wanted)]
    magnitude = float(finite.max(initial=0.0))
    return largest, largest / magnitude if magnitude > 0 else float("inf")


def compare(wanted: Arrays, *runs: Arrays) -> dict[str, dict[str, float]]:
    """The differences of several runs' outputs from `wanted`, the largest of each.

    Raises:
        BadReference: It is of an engine with other outputs.
    """
    for outputs in runs:
        if set(outputs) != set(wanted):
            raise BadReference(
                f"the reference has the outputs {sorted(wanted)}, the engine {sorted(outputs)}",
                "use the reference that was stored with this engine",
            )
    pairs = {name: [difference(wanted[name], outputs[name]) for outputs in runs] for name in wanted}
    return {
        name: {
            "max_abs": max(a for a, _ in differences),
            "relative": max(r for _, r in differences),
        }
        for name, differences in pairs.items()
    }


def latencies(replay: Replay, rounds: int) -> dict[str, Any]:
    """Median and 95th percentile of `rounds` runs in milliseconds, inputs being on the GPU."""
    for _ in range(WARMUP):
        replay()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        replay()
        taken.append((time.perf_counter() - started) * 1e3)
    return {
        "median_ms": float(np.median(taken)),
        "p95_ms": float(np.percentile(taken, 95)),
        "rounds": rounds,
        "cuda_graph": replay.cuda_graph,
    }


def measure(
    path: Path, reference: Path, tolerance: float, rounds: int, module: str | None = None
) -> dict[str, Any]:
    """Run the engine, compare and time it.

    Raises:
        EngineError: It can't be run or compared.
    """
    inputs, wanted = read_reference(reference)
    engine = Engine(path, module)
    try:
        plain = engine.run(inputs)
        replay = engine.bound(inputs)
        latency = latencies(replay, rounds)
        # What was timed is compared too.
        outputs = compare(wanted, plain, replay.outputs())
        return {
            "engine": path.name,
            "within": all(
                difference_of_output["relative"] <= tolerance
                for difference_of_output in outputs.values()
            ),
            "tolerance": tolerance,
            "outputs": outputs,
            "latency": latency,
            "device": engine.device,
            "versions": cuda_device.versions(engine.module),
        }
    finally:
        engine.close()


def lines(measured: dict[str, Any]) -> list[str]:
    """The report of `measure`, for people."""
    latency = measured["latency"]
    verdict = "within" if measured["within"] else "OUTSIDE"
    how = "CUDA graph" if latency["cuda_graph"] else "no CUDA graph: the engine can't be captured"
    return [
        *(
            f"{name}: max abs error {error['max_abs']:.3g}, relative {error['relative']:.3g}"
            for name, error in measured["outputs"].items()
        ),
        f"latency: median {latency['median_ms']:.3f} ms, p95 {latency['p95_ms']:.3f} ms "
        f"({latency['rounds']} runs, {how})",
        f"{measured['device']}; "
        + ", ".join(f"{name} {version}" for name, version in measured["versions"].items()),
        f"{verdict} the tolerance of {measured['tolerance']:g}",
    ]


def _positive(kind: type[Any]) -> Any:
    def read(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError("must be positive")
        return value

    return read


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", type=Path)
    parser.add_argument("reference", type=Path, help="arrays input:NAME and output:NAME (.npz)")
    parser.add_argument(
        "--tolerance", type=_positive(float), default=0.05, help="relative error [%(default)s]"
    )
    parser.add_argument("--rounds", type=_positive(int), default=200, help="timed [%(default)s]")
    parser.add_argument(
        "--module", choices=cuda_device.MODULES.values(), help="default: the first installed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args(arguments)
    try:
        measured = measure(
            given.engine, given.reference, given.tolerance, given.rounds, given.module
        )
    except cuda_device.EngineError as error:
        if given.json:
            print(json.dumps({"error": error.message, "remedy": error.remedy}))
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(measured, indent=2) if given.json else "\n".join(lines(measured)))
    return 0 if measured["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
