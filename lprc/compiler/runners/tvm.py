"""Run a TVM module on the CPU."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.interface import TvmInterface
from lprc.compiler.runners.vendor_errors import first_line, load_error
from lprc.core.errors import InvalidModelError
from lprc.core.files.checked import checked_json
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import OpenJob
from lprc.targets.tvm_backend.versions import check_versions

INTERFACE = "interface.json"
_MACHINES = {62: ("x86_64", "AMD64"), 183: ("aarch64", "arm64"), 40: ("arm",), 243: ("riscv64",)}
"""``e_machine`` of an ELF file, and what such a machine calls itself."""

_SECTION_TABLE = ((40, 8), (58, 2), (60, 2))
"""Where a 64-bit ELF header has the table's offset, the size of an entry and their number."""


class TvmRunner:
    """A shared library that TVM wrote, with its ``interface.json`` beside it.

    Args:
        job: The library. TVM counts its threads once a process; None: those that it was compiled
            for. By itself TVM would take half of the CPUs that the system shows.

    Raises:
        MissingDependencyError: TVM is not installed, or its versions crash.
        InvalidModelError: Not a library, or one for another machine.
    """

    def __init__(self, job: OpenJob) -> None:
        path = job.path
        check_versions()
        _check_machine(path)
        hint = "it belongs beside the library; name the folder that `lprc compile` wrote"
        beside = path.with_name(INTERFACE)
        interface = checked_json(TvmInterface, beside, error=InvalidModelError, hint=hint)
        wanted = job.threads or min(interface.threads, os.cpu_count() or 1)
        os.environ["TVM_NUM_THREADS"] = str(wanted)
        import tvm
        from tvm import relax

        self._tensor = tvm.runtime.tensor
        try:
            library = tvm.runtime.load_module(str(path.resolve()))
            self._machine = relax.VirtualMachine(library, tvm.cpu())
            self._main = self._machine["main"]
        except Exception as error:  # TVM raises what it likes
            raise load_error("TVM", path, error) from error
        self.inputs: dict[str, tuple[int | None, ...]] = {
            tensor.name: tuple(tensor.shape) for tensor in interface.inputs
        }
        self.dtypes = {tensor.name: np.dtype(tensor.dtype) for tensor in interface.inputs}
        self.outputs = [tensor.name for tensor in interface.outputs]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        try:
            results = self._main(*self._arguments(inputs))
        except Exception as error:
            raise RunError(f"TVM can't run it: {first_line(error)}") from error
        listed = [results] if len(self.outputs) == 1 else list(results)
        return {
            name: np.array(result.numpy())
            for name, result in zip(self.outputs, listed, strict=True)
        }

    def watch(self, instrument: Callable[..., int]) -> None:
        """Have `instrument` called before and after each call of the virtual machine's."""
        self._machine.set_instrument(instrument)

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`."""
        arguments = self._arguments(inputs)
        return lambda: self._main(*arguments)

    def _arguments(self, inputs: Arrays) -> list[Any]:
        arguments = []
        for name, shape in self.inputs.items():
            array = np.asarray(inputs[name], order="C")
            if array.shape != shape:
                raise RunError(
                    f"input '{name}' is {'x'.join(map(str, array.shape))}; the module is compiled "
                    f"for {'x'.join(map(str, shape))}",
                    hint="compile it with --input-shape for another size",
                )
            arguments.append(self._tensor(array))
        return arguments


def _check_machine(path: Path) -> None:
    """Refuse what the loader could only crash on.

    Raises:
        InvalidModelError: Not a shared library, or one for another machine.
    """
    with path.open("rb") as stream:
        head = stream.read(64)
    if len(head) < 64 or head[:4] != b"\x7fELF":
        if path.suffix == ".tar":
            raise InvalidModelError(
                "it holds objects for another machine", where=str(path), hint="link them there"
            )
        raise InvalidModelError("not a shared library", where=str(path))
    number = int.from_bytes(head[18:20], "little")
    if platform.machine() not in _MACHINES.get(number, ()):
        names = _MACHINES.get(number, (f"ELF machine {number}",))
        raise InvalidModelError(f"it is for {names[0]}", where=str(path), hint="run it there")
    # The loader dies of a file that is cut off; its last part is the table of sections.
    start, size, count = (
        int.from_bytes(head[at : at + width], "little") for at, width in _SECTION_TABLE
    )
    if path.stat().st_size < start + size * count:
        raise InvalidModelError("it is cut off", where=str(path), hint="copy or compile it again")
