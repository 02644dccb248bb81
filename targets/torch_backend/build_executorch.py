"""The process that lowers a graph to an ExecuTorch program, through XNNPACK where it can."""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import metadata
from typing import Any

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower

from lprc.core.process.exchange import Failure
from lprc.core.torch_graph.inference import InferenceModule
from lprc.targets.torch_backend.interface import interface
from lprc.targets.torch_backend.open_sizes import repeated
from lprc.targets.torch_backend.worker import Request, first_line, serve

INTERFACE = "interface.json"
"""Beside the program, which does not name its inputs and outputs."""


def build(request: Request) -> dict[str, Any]:
    """Export, hand to XNNPACK what it takes, write.

    Raises:
        Failure: torch can't export it, or ExecuTorch can't lower it.
    """
    # XNNPACK puts channels last by itself.
    module = InferenceModule(request.model, channels_last=False).eval()
    inputs = tuple(repeated(request.sample, request.model, 1))
    try:
        with torch.no_grad():
            program = torch.export.export(module, inputs, strict=False)
            edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
            kernels = _calls(edge)  # what comes next plans memory in the same graph
            lowered = edge.to_executorch()
    except Exception as error:  # both raise what they like
        raise Failure(f"ExecuTorch can't lower it: {first_line(error)}") from error
    request.file.write_bytes(lowered.buffer)
    document = json.dumps(interface(request.model), indent=1) + "\n"
    request.file.with_name(INTERFACE).write_text(document, encoding="utf-8")
    return {"version": metadata.version("executorch"), "kernels": kernels}


def _calls(edge: Any) -> dict[str, int]:
    """How many parts XNNPACK runs, and how often each operator runs in ExecuTorch's own kernels."""
    counted: Counter[str] = Counter()
    for node in edge.exported_program().graph.nodes:
        name = getattr(node.target, "__name__", str(node.target))
        if node.op == "call_function" and name != "getitem":
            counted["XNNPACK" if "delegate" in name else name] += 1
    return dict(sorted(counted.items()))


if __name__ == "__main__":
    sys.exit(serve("Lower an ONNX file to an ExecuTorch program.", build))
