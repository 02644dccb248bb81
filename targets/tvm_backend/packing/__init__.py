"""Relax in, Relax out: operators of convolutional networks become lprc's own kernels.

Activations between them keep lprc's own layout; each family of operators has a file here. What no
family knows stays Relax's own operator, which reads and writes the ONNX layout.
"""

from __future__ import annotations

from typing import Any

from lprc.targets.tvm_backend.machine import Machine
from lprc.targets.tvm_backend.packing import (
    constants,
    convolution,
    dense,
    elementwise,
    pooling,
    quantisation,
    reductions,
    transposed,
    views,
)
from lprc.targets.tvm_backend.packing.packer import Handler, Packer

HANDLERS: dict[str, Handler] = {
    **constants.HANDLERS,
    **convolution.HANDLERS,
    **dense.HANDLERS,
    **elementwise.HANDLERS,
    **pooling.HANDLERS,
    **quantisation.HANDLERS,
    **reductions.HANDLERS,
    **transposed.HANDLERS,
    **views.HANDLERS,
}


def pack(module: Any, machine: Machine | None = None) -> tuple[Any, list[str]]:
    """Replace what lprc has kernels for.

    Args:
        module: Of the ONNX importer, its parameters constants, its shapes known.
        machine: The machine that code is generated for; None for the current target.

    Returns:
        The module, whose kernels have the attribute ``lprc.kind``, and the operators
        that stay Relax's own: "operator NxCxHxW", one text for each.
    """
    packer = Packer(module, HANDLERS, machine or Machine.current())
    return packer.run(), packer.log
