"""An ONNX graph as a torch module for inference: tensors in and out, in the graph's order."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir
import torch

from lprc.core.torch_graph.operators.call import Function
from lprc.core.torch_graph.operators.table import OPERATORS
from lprc.core.torch_graph.steps import (
    Tensors,
    best_layout,
    constants_of,
    live_nodes,
    steps_of,
    take,
)


class InferenceModule(torch.nn.Module):
    """The main graph of `model`, whose floats and stored integers are buffers.

    Args:
        model: Read only.
        operators: Functions that stand in for those of `OPERATORS`, by operator.
        channels_last: Whether kernels and inputs with four axes have their channels last in memory.

    Raises:
        UsageError: The graph has an operator that has no form in torch here.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        operators: Mapping[str, Function] | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        self.inputs = [str(value.name) for value in graph_inputs(model)]
        self.outputs = [str(value.name) for value in model.graph.outputs]
        self._channels_last = channels_last
        self._operators = {**OPERATORS, **(operators or {})}
        self._steps = steps_of(model, self._operators)
        self._buffer_of: dict[str, str] = {}
        self._constants: Tensors = {}
        for name, tensor in constants_of(live_nodes(model.graph)).items():
            self._add_constant(name, best_layout(tensor) if channels_last else tensor)

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The graph's outputs in order, for its inputs in order."""
        tensors = dict(self._constants)
        for name, buffer in self._buffer_of.items():
            tensors[name] = self.get_buffer(buffer)
        for name, tensor in zip(self.inputs, inputs, strict=True):
            tensors[name] = best_layout(tensor) if self._channels_last else tensor
        take(self._steps, tensors, self._operators, ())
        return tuple(tensors[name] for name in self.outputs)

    def _add_constant(self, name: str, tensor: torch.Tensor) -> None:
        # Shapes, axes, scales of a tensor are read while the module is traced: they are no buffers.
        stored = tensor.is_floating_point() or tensor.dtype in (torch.int8, torch.uint8)
        if not stored or tensor.numel() == 1:
            self._constants[name] = tensor
            return
        self._buffer_of[name] = f"constant_{len(self._buffer_of)}"
        self.register_buffer(self._buffer_of[name], tensor)


def graph_inputs(model: ir.Model) -> list[ir.Value]:
    """The graph's inputs that have no default."""
    return [value for value in model.graph.inputs if not value.is_initializer()]
