"""The process that traces a lowered graph into a TorchScript file."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import torch

from lprc.core.process.exchange import Failure
from lprc.core.torch_graph.inference import InferenceModule
from lprc.targets.torch_backend.archive import rewrite_archive
from lprc.targets.torch_backend.interface import interface
from lprc.targets.torch_backend.open_sizes import open_axes, repeated
from lprc.targets.torch_backend.worker import Request, first_line, serve

TOLERANCE = 1e-4
"""How far a trace may be from what it was traced from, relative to the outputs' magnitude."""


def build(request: Request) -> dict[str, Any]:
    """Trace, freeze, look at other sizes, write.

    Raises:
        Failure: torch can't trace it, or the trace has sizes of the sample in it.
    """
    module = InferenceModule(request.model, channels_last=request.options["channels_last"]).eval()
    inputs = tuple(repeated(request.sample, request.model, 1))
    try:
        # Its warnings are of shapes that become constants; they are compared below instead.
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = torch.jit.trace(module, inputs, check_trace=False)  # type: ignore[no-untyped-call]
            frozen = torch.jit.freeze(traced)
    except Exception as error:  # operators raise what they like
        raise Failure(f"torch can't trace it: {first_line(error)}") from error
    if any(open_axes(request.model)):
        _check_sizes(module, frozen, tuple(repeated(request.sample, request.model, 3)))
    options = {"optimize": request.options["optimize"]}
    documents = {"interface.json": interface(request.model), "options.json": options}
    torch.jit.save(
        frozen,
        str(request.file),
        _extra_files={name: json.dumps(document) for name, document in documents.items()},
    )
    # Where in Python's sources each line of it came from is nobody's business.
    rewrite_archive(request.file, lambda name, data: None if name.endswith(".debug_pkl") else data)
    return {"version": torch.__version__}


def _check_sizes(module: InferenceModule, frozen: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    """Refuse a trace that is right for the sizes of the sample only."""
    try:
        with torch.no_grad():
            pairs = zip(module(*inputs), frozen(*inputs), strict=True)
            same = all(
                wanted.shape == traced.shape
                and bool((wanted - traced).abs().max() <= TOLERANCE * wanted.abs().max())
                for wanted, traced in pairs
            )
    except RuntimeError:
        same = False
    if not same:
        raise Failure(
            "a trace of it is right for the sizes of its sample only, and it leaves sizes open",
            hint="--input-shape fixes them",
        )


if __name__ == "__main__":
    sys.exit(serve("Trace a lowered ONNX file into a TorchScript file.", build))
