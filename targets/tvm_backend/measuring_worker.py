"""A process that builds and measures candidates for as long as it is asked to.

    python -m lprc.targets.tvm_backend.measuring_worker --folder F [--tracker HOST:PORT --key K]

It is told what to do in frames on its standard input and answers on its standard output. A
candidate for this machine is compiled in memory (no file, no linker) and run here; one for a
device is linked, sent to a server that TVM's tracker knows, and run there.

What a run returns is the fastest of several slices of a millisecond: the slower ones were
disturbed. One that is hopelessly slow is not measured well.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tvm
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

from lprc.targets.tvm_backend.frames import read_frame, write_frame

ENTRY = "main"
_SLICES, _SLICE_SECONDS, _HOPELESS = 5, 1e-3, 4.0


class _Device(Protocol):
    """Where candidates run."""

    def hold(self, library: Any, target: Any) -> Any:
        """The parts of a library that are kept until it runs."""

    def measure(self, held: Any, arguments: list[Any], best: float | None) -> float:
        """Seconds of one call."""

    def release(self, held: Any) -> None:
        """It won't run again."""


class _ThisMachine:
    def __init__(self) -> None:
        self._inputs: tuple[Any, list[Any]] = (None, [])

    def hold(self, library: Any, target: Any) -> Any:
        module = library.mod
        module[ENTRY]  # looking it up generates the code: here, not while others are measured
        return module

    def measure(self, held: Any, arguments: list[Any], best: float | None) -> float:
        if self._inputs[0] != arguments:
            self._inputs = (arguments, _tensors(arguments, tvm.cpu()))
        return _seconds(held, tvm.cpu(), self._inputs[1], best)

    def release(self, held: Any) -> None:
        pass


class _RemoteMachine:
    """A server, for one candidate: what that one spoils ends with its session."""

    def __init__(self, host: str, port: int, key: str, timeout: float, folder: Path) -> None:
        self._tracker = tvm.rpc.connect_tracker(host, port)
        self._key, self._timeout, self._folder = key, timeout, folder
        self._count = 0

    def hold(self, library: Any, target: Any) -> Any:
        self._count += 1
        suffix = ".so" if _is_native(target) else ".tar"
        path = self._folder / f"candidate{os.getpid()}-{self._count}{suffix}"
        library.export_library(str(path))
        return path

    def measure(self, held: Any, arguments: list[Any], best: float | None) -> float:
        session = self._tracker.request(self._key, session_timeout=int(self._timeout))
        session.upload(str(held))
        module = session.load_module(held.name)
        device = session.cpu()
        return _seconds(module, device, _tensors(arguments, device), best)

    def release(self, held: Any) -> None:
        held.unlink(missing_ok=True)


def _is_native(target: Any) -> bool:
    triple = str(target.attrs.get("mtriple", ""))
    return not triple or triple.split("-")[0] == os.uname().machine


def _tensors(arguments: list[Any], device: Any) -> list[Any]:
    """A tensor of each shape and element type, the same in every worker."""
    generator = np.random.default_rng(0)
    tensors = []
    for shape, dtype in arguments:
        if dtype.startswith("float"):
            value = generator.standard_normal(shape).astype(dtype)
        else:
            value = generator.integers(0, 64, shape).astype(dtype)
        tensors.append(tvm.runtime.tensor(value, device))
    return tensors


def _seconds(module: Any, device: Any, inputs: list[Any], best: float | None) -> float:
    def run(number: int, repeat: int) -> float:
        evaluator = module.time_evaluator(ENTRY, device, number=number, repeat=repeat)
        return float(min(evaluator(*inputs).results))

    probe = run(1, 3)
    if best is not None and probe > _HOPELESS * best:
        return probe
    return run(max(1, int(_SLICE_SECONDS / max(probe, 1e-9))), _SLICES)


class Worker:
    """Does what a message says, and holds what it has built until that has run."""

    def __init__(self, device: _Device) -> None:
        self._device = device
        self._held: dict[int, Any] = {}

    def build(self, key: int, module: str, target: dict[str, Any]) -> None:
        """Compile ``main`` of a module, TVM's JSON text."""
        native = tvm.target.Target(target)
        unmarked = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)
        library = tvm.compile(unmarked(tvm.ir.load_json(module)), target=native)
        self._held[key] = self._device.hold(library, native)

    def run(self, key: int, arguments: list[Any], best: float | None, keep: bool) -> float:
        """Seconds of one call; the candidate is dropped after it, unless it is to be kept."""
        try:
            return self._device.measure(self._held[key], arguments, best)
        finally:
            if not keep:
                self._device.release(self._held.pop(key))

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The result, or what TVM says is wrong with the candidate."""
        task = getattr(self, message.pop("do"))
        try:
            return {"result": task(**message)}
        except Exception as error:  # noqa: BLE001 - the candidate's fault, whatever it is
            lines = str(error).strip().splitlines() or [""]
            return {"error": f"{type(error).__name__}: {lines[-1][:300]}"}


def _end_with_parent() -> None:
    """A candidate that hangs must not outlive whoever could stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main() -> None:
    """Answer until standard input ends."""
    _end_with_parent()
    parser = argparse.ArgumentParser(description="Build and measure candidates.")
    parser.add_argument("--folder", type=Path, required=True, help="for what is sent to devices")
    parser.add_argument("--tracker", help="HOST:PORT")
    parser.add_argument("--key")
    parser.add_argument("--timeout", type=float, default=10.0)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing that TVM prints gets among the frames
    device: _Device = _ThisMachine()
    if options.tracker:
        host, _, port = options.tracker.rpartition(":")
        device = _RemoteMachine(host, int(port), options.key, options.timeout, options.folder)
    worker = Worker(device)
    write_frame(answers, {"result": os.getpid()})
    while (message := read_frame(sys.stdin.buffer)) is not None:
        write_frame(answers, worker.answer(message))


if __name__ == "__main__":
    main()
