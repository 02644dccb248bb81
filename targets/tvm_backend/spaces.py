"""Design spaces: the schedules that tuning tries for each kind of kernel.

A space is a list of parameters for the template of `schedules`, the default first. Sizes divide
what they split: a remainder would need a predicate, which tensorised blocks refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from itertools import product
from typing import Any

from tvm.s_tir import Schedule

from lprc.targets.tvm_backend import schedules
from lprc.targets.tvm_backend.defaults import divisors, tiles
from lprc.targets.tvm_backend.machine import BLOCK, Machine
from lprc.targets.tvm_backend.parameters import (
    ConvolutionParameters,
    DepthwiseParameters,
    ElementwiseParameters,
    Order,
    PadAt,
    PoolParameters,
)
from lprc.targets.tvm_backend.tasks import Task
from lprc.targets.tvm_backend.templates import block, extent

ANNOTATION = "lprc.parameters"
"""In a trace: which parameters it was made with."""

_TILES, _ROWS = 16, 4


def text(parameters: Any) -> str:
    """Parameters in one line, without spaces and quotes: TVM's traces escape neither."""
    pairs = ((each.name, getattr(parameters, each.name)) for each in fields(parameters))
    return ",".join(f"{name}={value}" for name, value in pairs)


def candidates(task: Task, target: Any) -> list[Any]:
    """All parameters that may be tried for a task; the default is the first."""
    machine = Machine.of_target(target)
    default = schedules.default(task.function, machine.threads, machine)
    others = _OTHERS.get(type(default))
    found = [default]
    if others is not None:
        found += others(Schedule(task.module), default, machine)
    return list(dict.fromkeys(found))


def schedule(task: Task, target: Any, parameters: Any) -> Any:
    """A kernel scheduled with these parameters; its trace says which they are.

    Raises:
        Exception: Whatever TVM raises where they don't fit.
    """
    scheduled = Schedule(task.module, error_render_level="fast")
    schedules.apply(scheduled, task.kind, parameters, Machine.of_target(target).threads)
    # At the end: at the beginning TVM 0.27 changes task.module too.
    root = scheduled.get_sblock("root")
    scheduled.annotate(root, ANNOTATION, text(parameters))
    scheduled.unannotate(root, ANNOTATION)  # in the trace only, not in the kernel
    return scheduled


def _sizes(kernel: Any) -> list[int]:
    return [extent(kernel, each) for each in kernel.get_loops(block(kernel, "out"))]


def _chunks(height: int, threads: int) -> list[int]:
    """The largest divisors of the height that leave something for each thread, and all of it."""
    return [*divisors(height, -(-height // threads))[-_ROWS:], height]


def _threads(machine: Machine) -> tuple[bool, ...]:
    return (True, False) if machine.threads > 1 else (False,)


def _convolutions(
    kernel: Any, default: ConvolutionParameters, machine: Machine
) -> Iterator[ConvolutionParameters]:
    _, y, x, o = _sizes(kernel)
    pads: tuple[PadAt, ...] = ("chunk", "whole")
    if block(kernel, "pad") is None:
        pads = (default.pad,)
    best = tiles(x, o // BLOCK, machine)[:_TILES]
    for (_, columns, blocks), rows in product(best, _chunks(y, machine.threads)):
        orders: tuple[Order, ...] = ("rows", "rows-blocks", "blocks")
        if o // BLOCK == blocks:
            orders = ("rows",)
        for order, pad, parallel in product(orders, pads, _threads(machine)):
            yield replace(
                default,
                columns=columns,
                blocks=blocks,
                rows=rows,
                order=order,
                pad=pad,
                parallel=parallel,
            )


def _depthwise(
    kernel: Any, default: DepthwiseParameters, machine: Machine
) -> Iterator[DepthwiseParameters]:
    _, y, x, _ = _sizes(kernel)
    columns = divisors(x, max(1, min(16, machine.tile)))
    rows = _chunks(y, machine.threads)
    for width, chunk, unroll in product(columns, rows, (True, False)):
        for parallel in _threads(machine):
            yield replace(default, columns=width, rows=chunk, unroll=unroll, parallel=parallel)


def _lanes(channels: int) -> list[int]:
    return [each for each in (16, 32, 64) if channels % each == 0]


def _pools(kernel: Any, default: PoolParameters, machine: Machine) -> Iterator[PoolParameters]:
    lanes = _lanes(_sizes(kernel)[-1]) or [default.lanes]
    for choice in product(lanes, (True, False), _threads(machine)):
        yield PoolParameters(*choice)


def _elementwise(
    kernel: Any, default: ElementwiseParameters, machine: Machine
) -> Iterator[ElementwiseParameters]:
    sizes = _sizes(kernel)
    threads = _threads(machine) if len(sizes) > 1 else (default.parallel,)
    for choice in product(_lanes(sizes[-1]) or [default.lanes], threads):
        yield ElementwiseParameters(*choice)


_OTHERS: dict[type, Callable[[Any, Any, Machine], Iterator[Any]]] = {
    ConvolutionParameters: _convolutions,
    DepthwiseParameters: _depthwise,
    PoolParameters: _pools,
    ElementwiseParameters: _elementwise,
}
