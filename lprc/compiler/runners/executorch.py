"""Run an ExecuTorch program on the CPU."""

from __future__ import annotations

from lprc.compiler.runners.interface import Interface
from lprc.compiler.runners.torch_calls import TorchCalls
from lprc.compiler.runners.vendor_errors import load_error
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.files.checked import checked_json
from lprc.core.running.runner import OpenJob


class ExecuTorchRunner(TorchCalls):
    """A ``.pte`` file with its ``interface.json`` beside it; an `lprc.core.running.runner.Runner`.

    Args:
        job: The program.

    Raises:
        InvalidModelError: ExecuTorch can't load it, or lprc did not write it.
        UsageError: A number of threads is asked for, which its Python runtime can't be told.
    """

    def __init__(self, job: OpenJob) -> None:
        from executorch.runtime import Runtime

        if job.threads is not None:
            raise UsageError(
                "ExecuTorch's Python runtime can't be told a number of threads",
                where=str(job.path),
                hint="leave --threads out, and run it under taskset",
            )
        hint = "it belongs beside the program; name the folder that `lprc compile` wrote"
        beside = job.path.with_name("interface.json")
        interface = checked_json(Interface, beside, error=InvalidModelError, hint=hint)
        try:
            # A method does not keep its program alive.
            self._program = Runtime.get().load_program(job.path)
            method = self._program.load_method("forward")
        except Exception as error:  # ExecuTorch raises what it likes
            raise load_error("ExecuTorch", job.path, error) from error
        super().__init__("ExecuTorch", lambda *tensors: method.execute(tensors), interface)
