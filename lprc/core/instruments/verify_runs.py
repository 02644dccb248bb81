"""What is judged together: inputs that a graph takes, runs over the same inputs, and passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RANDOM
from lprc.core.passing.contract import Contract, exact
from lprc.core.passing.manager import PassRecord
from lprc.core.running.numerics import Arrays, OutputDelta, compare

Outputs = dict[int, dict[str, Any]]
"""What a graph puts out, by the number of the input set."""


def batch_of(inputs: Arrays) -> int | None:
    """The size of the first dimension of all inputs that have dimensions, if it is one size."""
    sizes = {array.shape[0] for array in inputs.values() if array.ndim}
    return sizes.pop() if len(sizes) == 1 else None


def accepts(model: ir.Model, inputs: Arrays) -> bool:
    """Whether `inputs` have the shapes and types that the graph's inputs say."""
    return all(
        (value.shape is None or _matches(value.shape, inputs[value.name].shape))
        and _same_type(value, inputs[value.name])
        for value in model.graph.inputs
        if value.name is not None and value.name in inputs
    )


def _same_type(value: ir.Value, array: Any) -> bool:
    """Whether an array has the element type of a graph input; other kinds are not looked at."""
    if not isinstance(value.type, ir.TensorType) or not isinstance(array, np.ndarray):
        return True
    return (
        array.dtype == object
        or array.dtype.kind in "US"
        or value.dtype is None
        or (value.dtype.numpy() == array.dtype)
    )


def _matches(shape: ir.Shape, sizes: tuple[int, ...]) -> bool:
    return len(shape) == len(sizes) and all(
        not isinstance(dim, int) or dim == size for dim, size in zip(shape, sizes, strict=True)
    )


def worst_deltas(before: Outputs, after: Outputs) -> list[OutputDelta]:
    """Each output's worst difference over the input sets."""
    worst: dict[str, OutputDelta] = {}
    for delta in _each_delta(before, after):
        known = worst.get(delta.name)
        if known is None or _badness(delta) > _badness(known):
            worst[delta.name] = delta
    return list(worst.values())


def _each_delta(before: Outputs, after: Outputs) -> Iterator[OutputDelta]:
    for number in before:
        yield from compare(before[number], after[number])


def _badness(delta: OutputDelta) -> tuple[bool, float]:
    return delta.mismatch is not None, delta.relative


def culprit(records: list[PassRecord]) -> str:
    """What to call one pass, or several that were judged together."""
    return f"pass '{records[0].text}'" if len(records) == 1 else f"{len(records)} passes together"


def loosest(contracts: Sequence[Contract]) -> Contract:
    """The most that the contracts allow together, at the batch size that any of them asks for."""
    loosest = max(contracts, key=lambda contract: contract.tolerance, default=exact)
    batch = next((contract.batch for contract in contracts if contract.batch), None)
    return loosest if batch is None else replace(loosest, batch=batch)


def not_compared(records: list[PassRecord], contract: Contract) -> str:
    """A warning that passes changed something, and why nobody looked."""
    names = ", ".join(record.text for record in records)
    if contract.batch is None:
        return f"not compared: the graphs before and after {names} take no common input"
    return f"not compared: {names} holds at batch {contract.batch}, which the graph does not take"


def may_vary(model: ir.Model) -> bool:
    """Whether a graph may put out something else each time: random operators, and unknown ones."""
    return bool(model.functions) or any(
        node.domain not in editing.ONNX_DOMAIN or node.op_type in RANDOM
        for graph in editing.graphs(model)
        for node in graph
    )


def only(outputs: Arrays, names: set[str]) -> Arrays:
    """The outputs of these names."""
    return {name: array for name, array in outputs.items() if name in names}
