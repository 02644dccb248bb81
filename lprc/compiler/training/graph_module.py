"""An ONNX graph as a torch module that runs the same nodes in the same order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from lprc.compiler.training.operators.call import Call
from lprc.compiler.training.operators.table import OPERATORS
from lprc.compiler.training.weights import (
    Weight,
    constant_array,
    set_array,
    statistics_of,
    weights_of,
)
from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.provenance import describe

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Step:
    """One node: what to call, on which values, for which values."""

    call: Call
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    last_uses: tuple[str, ...] = ()


class GraphModule(torch.nn.Module):
    """The main graph of `model`, whose weights are parameters.

    Zeros of weights stay zeros under `clamp_zeros`, so a sparsity pattern is kept. Batches may have
    any size that the graph takes.

    Args:
        model: Changed by `write_back` alone.
        update_statistics: Whether BatchNormalization uses the batch's statistics in training, and
            keeps a running mean of them; otherwise those of the graph stand.

    Raises:
        UsageError: The graph has an operator that can't be trained through, or subgraphs.
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
        self._update_statistics = update_statistics
        self._steps = _with_last_uses(
            [self._step(node, editing.opset_version(model)) for node in self._live_nodes()],
            self.outputs,
        )
        self._constants = self._find_constants()
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
        kept: Tensors = {}
        for step in self._steps:
            call = step.call
            if call.op_type == "BatchNormalization" and self.training and self._update_statistics:
                call = replace(call, training=True)
            given = [None if name is None else tensors[name] for name in step.inputs]
            result = OPERATORS[call.op_type](call, given)
            results = (result,) if isinstance(result, torch.Tensor) else result
            tensors.update(zip(step.outputs, results, strict=False))
            kept.update((name, tensors[name]) for name in step.outputs if name in keep)
            for name in step.last_uses:
                del tensors[name]
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
        tensor = _best_layout(torch.from_numpy(np.array(weight.start)))
        self.parameters_by_name[key] = torch.nn.Parameter(tensor)
        self._keys[weight.name] = key
        if weight.mask is not None:
            self._masks[key] = _best_layout(torch.from_numpy(weight.mask.astype(np.float32)))

    def _live_nodes(self) -> list[ir.Node]:
        """All but what makes weights and constants, which are known."""
        return [
            node
            for node in self.model.graph
            if not editing.is_op(node, "Constant")
            and not any(output.name in self._keys for output in node.outputs)
        ]

    def _step(self, node: ir.Node, version: int) -> _Step:
        if node.domain not in editing.ONNX_DOMAIN or node.op_type not in OPERATORS:
            name = (
                node.op_type
                if node.domain in editing.ONNX_DOMAIN
                else f"{node.domain}.{node.op_type}"
            )
            raise UsageError(
                f"{name} can't be trained through",
                where=describe(node),
                hint="fine-tune the part of the network in front of it, or leave it as it is",
            )
        used = [
            index
            for index, item in enumerate(node.outputs)
            if item.uses() or item.is_graph_output()
        ]
        call = Call(
            where=describe(node),
            op_type=node.op_type,
            attributes={name: _attribute(item) for name, item in node.attributes.items()},
            version=version,
            outputs=max(used, default=0) + 1,
        )
        inputs = tuple(None if value is None else str(value.name) for value in node.inputs)
        return _Step(call, inputs, tuple(str(value.name) for value in node.outputs))

    def _find_constants(self) -> Tensors:
        constants: Tensors = {}
        for value in {each for node in self._live_nodes() for each in node.inputs}:
            array = constant_array(value)
            if value is not None and array is not None and value.name not in self._keys:
                constants[str(value.name)] = torch.from_numpy(np.array(array))
        return constants


def _best_layout(tensor: torch.Tensor) -> torch.Tensor:
    # Channels last is 1.4 times as fast as channels first on a CPU.
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _attribute(found: ir.Attr) -> Any:
    if found.type == ir.AttributeType.TENSOR:
        return torch.from_numpy(np.array(found.value.numpy()))
    return found.value


def _with_last_uses(steps: list[_Step], outputs: tuple[str, ...]) -> list[_Step]:
    """So that activations are let go as soon as nobody reads them any more."""
    step_outputs = {name for step in steps for name in step.outputs}
    last: dict[str, int] = {}
    for number, step in enumerate(steps):
        last.update(
            (name, number) for name in (*step.outputs, *step.inputs) if name in step_outputs
        )
    done: list[list[str]] = [[] for _ in steps]
    for name, number in last.items():
        if name is not None and name and name not in outputs:
            done[number].append(name)
    return [replace(step, last_uses=tuple(names)) for step, names in zip(steps, done, strict=True)]
