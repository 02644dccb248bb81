"""An ONNX graph as a torch module that runs the same nodes in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import torch

from lprc.compiler.training.weights import Weight, set_array, statistics_of, weights_of
from lprc.core.torch_graph.operators.table import OPERATORS
from lprc.core.torch_graph.steps import (
    Step,
    Tensors,
    best_layout,
    constants_of,
    live_nodes,
    steps_of,
    take,
)


class GraphModule(torch.nn.Module):
    """The main graph of `model`, whose weights are parameters.

    Zeros of weights stay zeros under `clamp_zeros`, so a sparsity pattern is kept. Batches may have
    any size that the graph takes.

    Args:
        model: Changed by `write_back` alone.
        update_statistics: Whether BatchNormalization uses the batch's statistics in training, and
            keeps a running mean of them; otherwise those of the graph stand.

    Raises:
        UsageError: The graph has an operator that has no form in torch here, or subgraphs.
    """

    def __init__(self, model: ir.Model, *, update_statistics: bool = False) -> None:
        super().__init__()
        self.model = model
        self.inputs = tuple(
            str(value.name) for value in model.graph.inputs if not value.is_initializer()
        )
        self.outputs = tuple(str(value.name) for value in model.graph.outputs)
        self.weights = list(weights_of(model.graph))
        self.parameters_by_name = torch.nn.ParameterDict()
        self._masks: Tensors = {}
        self._keys: dict[str, str] = {}
        for number, weight in enumerate(self.weights):
            self._add_weight(f"w{number}", weight)
        self._steps = steps_of(model, OPERATORS, self._keys)
        self._training_steps = _with_statistics(self._steps) if update_statistics else self._steps
        self._constants = constants_of(live_nodes(model.graph, self._keys), self._keys)
        statistics = [value for value, _ in statistics_of(model.graph)] if update_statistics else []
        self._running = [value for value in statistics if str(value.name) in self._constants]

    def forward(self, inputs: Mapping[str, torch.Tensor], keep: tuple[str, ...] = ()) -> Tensors:
        """The graph's outputs, and the values named in `keep`, by name."""
        tensors: Tensors = {**self._constants, **inputs}
        for name, key in self._keys.items():
            tensors[name] = self.parameters_by_name[key]
        for weight in self.weights:
            if weight.quantised is not None:
                tensors[weight.name] = weight.quantised.real(tensors[weight.name])
        steps = self._training_steps if self.training else self._steps
        kept = take(steps, tensors, OPERATORS, keep)
        return {**kept, **{name: tensors[name] for name in self.outputs}}

    def clamp_zeros(self) -> None:
        """Set back to zero what was zero; after each step of an optimiser."""
        with torch.no_grad():
            for key, mask in self._masks.items():
                self.parameters_by_name[key].mul_(mask)

    def write_back(self) -> None:
        """Put the weights (and statistics, where updated) into the graph."""
        for weight in self.weights:
            weight.store(self.parameters_by_name[self._keys[weight.name]])
        for value in self._running:
            set_array(value, self._constants[str(value.name)].cpu().numpy())

    @property
    def statistics(self) -> Tensors:
        """The running statistics that training updates, by name; not copies."""
        return {str(value.name): self._constants[str(value.name)] for value in self._running}

    @property
    def activations(self) -> tuple[str, ...]:
        """What each Relu puts out, by name."""
        return tuple(step.outputs[0] for step in self._steps if step.call.op_type == "Relu")

    def to_device(self, device: torch.device) -> None:
        """Move everything but shapes and indices."""
        self.to(device)
        self._masks = {key: mask.to(device) for key, mask in self._masks.items()}
        for name, tensor in self._constants.items():
            if tensor.is_floating_point() or tensor.dtype in (torch.int8, torch.uint8):
                self._constants[name] = tensor.to(device)
        for weight in self.weights:
            if weight.quantised is not None:
                form = weight.quantised
                zero = None if form.zero_point is None else form.zero_point.to(device)
                weight.quantised = replace(form, scale=form.scale.to(device), zero_point=zero)

    def _add_weight(self, key: str, weight: Weight) -> None:
        tensor = best_layout(torch.from_numpy(np.array(weight.start)))
        self.parameters_by_name[key] = torch.nn.Parameter(tensor)
        self._keys[weight.name] = key
        if weight.mask is not None:
            self._masks[key] = best_layout(torch.from_numpy(weight.mask.astype(np.float32)))


def _with_statistics(steps: list[Step]) -> list[Step]:
    """The steps of training, whose BatchNormalizations take the batch's statistics."""
    return [
        replace(step, call=replace(step.call, training=True))
        if step.call.op_type == "BatchNormalization"
        else step
        for step in steps
    ]
