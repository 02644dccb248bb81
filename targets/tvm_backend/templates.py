"""Templates: how loops are split, ordered, vectorised and unrolled, given parameters."""

from __future__ import annotations

from typing import Any

from lprc.targets.tvm_backend import vnni
from lprc.targets.tvm_backend.machine import BLOCK
from lprc.targets.tvm_backend.parameters import (
    ConvolutionParameters,
    DepthwiseParameters,
    ElementwiseParameters,
    PoolParameters,
    TotalParameters,
    UnpackParameters,
)


def extent(schedule: Any, loop: Any) -> int:
    """How often a loop runs."""
    return int(schedule.get(loop).extent)


def block(schedule: Any, name: str) -> Any:
    """The block of that name, or None."""
    root = schedule.get_sblock("root")
    for each in schedule.get_child_blocks(root):
        if str(schedule.get(each).name_hint) == name:
            return each
    return None


def reductions(schedule: Any, accumulate: Any) -> int:
    """How many reduction axes a block has."""
    return sum(1 for each in schedule.get(accumulate).iter_vars if int(each.iter_type) == 2)


def convolution(schedule: Any, parameters: ConvolutionParameters, _threads: int) -> None:
    """A register tile of accumulators; see `ConvolutionParameters`."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    n, y, x, o = schedule.get_loops(out)
    flat = extent(schedule, y) == 1
    y_outer, y_inner = schedule.split(y, [None, parameters.rows])
    x_outer, x_inner = schedule.split(x, [None, parameters.columns])
    o_outer, o_middle, lane = schedule.split(o, [None, parameters.blocks, BLOCK])
    tile = [x_inner, o_middle, lane]
    if parameters.order == "blocks":
        schedule.reorder(o_outer, n, y_outer, y_inner, x_outer, *tile)
        chunk, inner = schedule.fuse(o_outer, n, y_outer), x_outer
    elif parameters.order == "rows-blocks":
        schedule.reorder(n, y_outer, o_outer, y_inner, x_outer, *tile)
        chunk, inner = schedule.fuse(n, y_outer), x_outer
    else:
        schedule.reorder(n, y_outer, y_inner, x_outer, o_outer, *tile)
        outer = [n, y_outer, y_inner, x_outer] if flat else [n, y_outer]
        chunk, inner = schedule.fuse(*outer), o_outer
    if parameters.parallel:
        schedule.parallel(chunk)
    schedule.compute_at(accumulate, inner, preserve_unit_loops=True)
    _padding(schedule, chunk if parameters.pad == "chunk" else None, parameters.parallel)
    _register_tile(schedule, accumulate, parameters.dot)
    _unrolled(schedule, out)


def _register_tile(schedule: Any, accumulate: Any, dot: str) -> None:
    count = reductions(schedule, accumulate)
    loops = schedule.get_loops(accumulate)
    x, o, taps = loops[-count - 2], loops[-count - 1], loops[-count:]
    middle, lane = schedule.split(o, [None, BLOCK])
    four = taps[3:]
    schedule.reorder(*taps[:3], x, middle, lane, *four)
    if not four:
        schedule.vectorize(lane)
    schedule.unroll(middle)
    schedule.unroll(x)
    schedule.set_scope(accumulate, 0, "local")
    initial = schedule.get_loops(schedule.decompose_reduction(accumulate, taps[0]))
    schedule.vectorize(initial[-1])
    schedule.unroll(initial[-2])
    schedule.unroll(initial[-3])
    if four and dot == "vnni":
        schedule.tensorize(lane, vnni.NAME)


def _unrolled(schedule: Any, out: Any) -> None:
    loops = schedule.get_loops(out)
    schedule.vectorize(loops[-1])
    schedule.unroll(loops[-2])
    schedule.unroll(loops[-3])


def _padding(schedule: Any, chunk: Any, parallel: bool) -> None:
    """The padded input: within `chunk`, or before the kernel where that is None."""
    pad = block(schedule, "pad")
    if pad is None:
        return
    if chunk is not None:
        schedule.compute_at(pad, chunk, preserve_unit_loops=True)
    loops = schedule.get_loops(pad)
    channels = extent(schedule, loops[-1])
    wide = 64 if str(schedule.get(pad).writes[0].source.dtype) == "uint8" else BLOCK
    lanes = next((width for width in (wide, 16, 8, 4) if channels % width == 0), 1)
    if lanes > 1:
        schedule.vectorize(schedule.split(loops[-1], [None, lanes])[-1])
    if chunk is None and parallel:
        schedule.parallel(schedule.fuse(*loops[:2]))


def depthwise(schedule: Any, parameters: DepthwiseParameters, _threads: int) -> None:
    """Columns of one block of channels at a time."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    n, y, x, c = schedule.get_loops(out)
    y_outer, y_inner = schedule.split(y, [None, parameters.rows])
    x_outer, x_inner = schedule.split(x, [None, parameters.columns])
    c_outer, lane = schedule.split(c, [None, BLOCK])
    schedule.reorder(n, y_outer, y_inner, c_outer, x_outer, x_inner, lane)
    chunk = schedule.fuse(n, y_outer)
    if parameters.parallel:
        schedule.parallel(chunk)
    schedule.compute_at(accumulate, x_outer, preserve_unit_loops=True)
    _padding(schedule, chunk, parameters.parallel)
    loops = schedule.get_loops(accumulate)
    x, c, taps = loops[-4], loops[-3], loops[-2:]
    schedule.reorder(*taps, x, c)
    schedule.vectorize(c)
    schedule.unroll(x)
    schedule.set_scope(accumulate, 0, "local")
    initial = schedule.get_loops(schedule.decompose_reduction(accumulate, taps[0]))
    schedule.vectorize(initial[-1])
    schedule.unroll(initial[-2])
    if parameters.unroll:
        schedule.unroll(taps[0])
        schedule.unroll(taps[1])
    loops = schedule.get_loops(out)
    schedule.vectorize(loops[-1])
    schedule.unroll(loops[-2])


def pool(schedule: Any, parameters: PoolParameters, threads: int) -> None:
    """One vector of channels at a time."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    n, y, _, c = schedule.get_loops(out)
    c_outer, lane = schedule.split(c, [None, parameters.lanes])
    chunk = None
    if parameters.parallel:
        chunk = _parallel(schedule, schedule.fuse(n, y), threads)
    schedule.compute_at(accumulate, c_outer, preserve_unit_loops=True)
    _padding(schedule, chunk, parameters.parallel)
    loops = schedule.get_loops(accumulate)
    count = reductions(schedule, accumulate)
    window, inner = loops[-count:], loops[-count - 1]
    schedule.reorder(*window, inner)
    schedule.vectorize(inner)
    schedule.vectorize(lane)
    schedule.set_scope(accumulate, 0, "local")
    if parameters.unroll:
        for loop in window:
            schedule.unroll(loop)
    initial = schedule.decompose_reduction(accumulate, window[0])
    schedule.vectorize(schedule.get_loops(initial)[-1])


def _parallel(schedule: Any, loop: Any, threads: int) -> Any:
    """Split a loop into one chunk a thread; returns the loop over chunks."""
    size = -(-extent(schedule, loop) // threads)
    outer, _ = schedule.split(loop, [None, size])
    schedule.parallel(outer)
    return outer


def total(schedule: Any, _parameters: TotalParameters, _threads: int) -> None:
    """Sixteen partial sums in a register, then their sum."""
    lanes = block(schedule, "lanes")
    n, lane, y, x, o = schedule.get_loops(lanes)
    schedule.reorder(n, y, x, o, lane)
    schedule.vectorize(lane)
    initial = schedule.decompose_reduction(lanes, y)
    schedule.vectorize(schedule.get_loops(initial)[-1])
    schedule.set_scope(lanes, 0, "local")


def unpack(schedule: Any, parameters: UnpackParameters, _threads: int) -> None:
    """Rows of a block of channels."""
    n, c, y, x = schedule.get_loops(block(schedule, "out"))
    outer, inner = schedule.split(c, [None, parameters.channels])
    schedule.reorder(n, outer, y, inner, x)
    if parameters.parallel:
        schedule.parallel(schedule.fuse(n, outer, y))


def elementwise(schedule: Any, parameters: ElementwiseParameters, threads: int) -> None:
    """Vectors of channels, rows to threads."""
    loops = schedule.get_loops(block(schedule, "out"))
    if parameters.lanes > 1:
        schedule.vectorize(schedule.split(loops[-1], [None, parameters.lanes])[-1])
    if parameters.parallel:
        _parallel(schedule, schedule.fuse(*loops[:-1]), threads)
