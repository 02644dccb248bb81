"""Schedules of the packed kernels: a template for each kind, and parameters that do without tuning.

A kernel is a PrimFunc with the attribute ``lprc.kind`` and up to three blocks: ``pad`` (optional:
the input with its padding), ``acc`` (sums or maxima) and ``out`` (what follows, element by
element). Templates take sizes as numbers or as MetaSchedule's random variables.

The template of convolutions keeps a register tile of `columns` x `blocks` * 16 accumulators while
it walks over the whole kernel and all input channels (Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication", 2008; Georganas et al., arXiv:1808.05567).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tvm
from tvm.s_tir import Schedule

from lprc.targets.tvm_backend import templates
from lprc.targets.tvm_backend.defaults import (
    default_convolution,
    default_depthwise,
    default_elementwise,
    default_pool,
    default_total,
    default_unpack,
)
from lprc.targets.tvm_backend.machine import Machine
from lprc.targets.tvm_backend.parameters import (
    ConvolutionParameters,
    DepthwiseParameters,
    ElementwiseParameters,
    PoolParameters,
    TotalParameters,
    UnpackParameters,
)

KIND = "lprc.kind"
SCHEDULED = "tirx.is_scheduled"

Parameters = (
    ConvolutionParameters
    | DepthwiseParameters
    | PoolParameters
    | ElementwiseParameters
    | TotalParameters
    | UnpackParameters
)


@dataclass(frozen=True)
class Kind:
    """How kernels of a kind are scheduled.

    Attributes:
        name: The value of ``lprc.kind``.
        parameters: The class of its parameters.
        default: Parameters for a schedule (not changed), on a machine.
        apply: The template.
    """

    name: str
    parameters: type
    default: Callable[[Any, Machine], Any]
    apply: Callable[[Any, Any, int], None]


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("conv", ConvolutionParameters, default_convolution, templates.convolution),
        Kind("integer_conv", ConvolutionParameters, default_convolution, templates.convolution),
        Kind("depthwise", DepthwiseParameters, default_depthwise, templates.depthwise),
        Kind("integer_depthwise", DepthwiseParameters, default_depthwise, templates.depthwise),
        Kind("pool", PoolParameters, default_pool, templates.pool),
        Kind("total", TotalParameters, default_total, templates.total),
        Kind("unpack", UnpackParameters, default_unpack, templates.unpack),
        Kind("elementwise", ElementwiseParameters, default_elementwise, templates.elementwise),
    )
}
"""By the attribute ``lprc.kind``."""


def kind_of(function: Any) -> Kind | None:
    """The kind of a function of a module; None for Relax's own."""
    attributes = getattr(function, "attrs", None)
    if not attributes or KIND not in attributes:
        return None
    return KINDS[str(attributes[KIND])]


def default(function: Any, threads: int, machine: Machine | None = None) -> Parameters:
    """Parameters for a kernel that nobody tuned.

    Args:
        function: A PrimFunc with ``lprc.kind``.
        threads: How many will run it.
        machine: None for that of the current target.
    """
    kind = kind_of(function)
    assert kind is not None
    machine = machine or Machine.current()
    at = Machine(machine.lanes, machine.registers, machine.dot, threads)
    chosen: Parameters = kind.default(Schedule(tvm.IRModule({"main": function})), at)
    return chosen


def apply(schedule: Any, kind: str, parameters: Any, threads: int) -> None:
    """Schedule the one PrimFunc of `schedule`, in place."""
    KINDS[kind].apply(schedule, parameters, threads)


def schedule_module(
    module: Any, threads: int, chosen: Mapping[str, Parameters], machine: Machine | None = None
) -> Any:
    """The module with every kernel scheduled; its other functions stay as they are.

    Args:
        module: Of `packing.pack`; kernels that are marked as scheduled already are left alone.
        threads: How many will run it.
        chosen: Parameters by the name of the function; defaults for the others.
        machine: None for that of the current target.
    """
    scheduled = tvm.IRModule(dict(module.functions_items()), attrs=module.attrs)
    for variable, function in module.functions_items():
        kind = kind_of(function)
        if kind is None or SCHEDULED in function.attrs:
            continue
        parameters = chosen.get(variable.name_hint) or default(function, threads, machine)
        schedule = Schedule(tvm.IRModule({"main": function}))
        kind.apply(schedule, parameters, threads)
        scheduled.update_func(variable, schedule.mod["main"].with_attr(SCHEDULED, True))
    return scheduled


def described(
    module: Any, chosen: Mapping[str, Parameters], machine: Machine | None = None
) -> list[dict[str, Any]]:
    """Kernels by name, with kind, parameters and whether those were tuned, as JSON data."""
    threads = (machine or Machine.current()).threads
    rows = []
    for variable, function in module.functions_items():
        kind = kind_of(function)
        if kind is None:
            continue
        name = str(variable.name_hint)
        parameters = chosen.get(name) or default(function, threads, machine)
        row = {"name": name, "kind": kind.name, "parameters": asdict(parameters)}
        rows.append({**row, "tuned": name in chosen})
    return sorted(rows, key=lambda row: str(row["name"]))
