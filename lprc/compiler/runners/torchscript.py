"""Run a TorchScript file on the CPU."""

from __future__ import annotations

import warnings

from lprc.compiler.runners.interface import Interface
from lprc.compiler.runners.torch_calls import TorchCalls, stored
from lprc.compiler.runners.vendor_errors import load_error
from lprc.core.files.checked import Strict
from lprc.core.running.runner import OpenJob


class _Options(Strict):
    """What is done to the trace once it is loaded."""

    optimize: bool


class TorchScriptRunner(TorchCalls):
    """A ``.pt`` file; an `lprc.core.running.runner.Runner`.

    Args:
        job: The file. torch counts its threads once a process.

    Raises:
        InvalidModelError: torch can't load it, or lprc did not write it.
    """

    def __init__(self, job: OpenJob) -> None:
        import torch

        if job.threads is not None:
            torch.set_num_threads(job.threads)
        extra = {"interface.json": "", "options.json": ""}
        try:
            with warnings.catch_warnings():  # torch.export is torch's recommendation: aoti-fp32
                warnings.simplefilter("ignore", DeprecationWarning)
                module = torch.jit.load(  # type: ignore[no-untyped-call]
                    str(job.path), map_location="cpu", _extra_files=extra
                )
        except Exception as error:  # torch raises what it likes
            raise load_error("TorchScript", job.path, error) from error
        interface = stored(Interface, extra["interface.json"], job.path)
        options = stored(_Options, extra["options.json"], job.path)
        if options.optimize:
            module = torch.jit.optimize_for_inference(module)
        super().__init__("TorchScript", torch.inference_mode()(module.__call__), interface)
