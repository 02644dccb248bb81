"""Parameters for kernels that nobody tuned, by a simple model of the machine."""

from __future__ import annotations

import math
from typing import Any

from lprc.targets.tvm_backend.machine import BLOCK, Machine
from lprc.targets.tvm_backend.parameters import (
    ConvolutionParameters,
    DepthwiseParameters,
    ElementwiseParameters,
    PoolParameters,
    TotalParameters,
    UnpackParameters,
)
from lprc.targets.tvm_backend.templates import block, extent, reductions

WORTH = 20_000
"""How many elements, or multiplications of vectors of 16, a second thread pays for."""

CACHE = 512 * 1024
"""Bytes of weights that stay in a core's second-level cache beside the activations."""


def divisors(number: int, most: int) -> list[int]:
    """All divisors up to `most`."""
    return [each for each in range(1, min(number, most) + 1) if number % each == 0]


def tiles(width: int, blocks: int, machine: Machine) -> list[tuple[float, int, int]]:
    """(cost, columns, blocks) of each register tile that fits, the cheapest first.

    The cost is that of a multiplication: its share of the tile's loads, and more where a tile has
    too few accumulators to hide the latency of multiply-add.
    """
    register_tiles = []
    vectors = BLOCK // min(machine.lanes, BLOCK)
    for tile_blocks in divisors(blocks, 6):
        for columns in divisors(width, 32):
            accumulators = columns * tile_blocks
            if accumulators + tile_blocks > max(machine.tile, 2):
                continue
            loads = (columns + tile_blocks * vectors) / (accumulators * vectors)
            waiting = max(1.0, 8 / (accumulators * vectors))
            register_tiles.append(((loads + 0.6) * waiting, columns, tile_blocks))
    return sorted(register_tiles)


def chunk_rows(images: int, height: int, threads: int) -> int:
    """Rows of a chunk, a divisor of the height, so that threads finish together."""

    def finished(rows: int) -> int:
        return -(-images * height // rows // threads) * rows

    return min(divisors(height, height), key=lambda rows: (finished(rows), -rows))


def default_convolution(schedule: Any, machine: Machine) -> ConvolutionParameters:
    """The cheapest register tile; output channels in parallel where weights exceed the cache."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    n, y, x, o = (extent(schedule, loop) for loop in schedule.get_loops(out))
    taps = [extent(schedule, loop) for loop in schedule.get_loops(accumulate)[4:]]
    integer = len(taps) == 4
    blocks = o // BLOCK
    _, columns, group = tiles(x, blocks, machine)[0]
    products = n * y * x * blocks * math.prod(taps[:3])
    weights = o * math.prod(taps) * (1 if integer else 4)
    by_blocks = weights > CACHE and blocks // group >= machine.threads
    rows = y if by_blocks else chunk_rows(n, y, machine.threads)
    return ConvolutionParameters(
        columns,
        group,
        rows,
        order="blocks" if by_blocks else "rows",
        pad="whole" if by_blocks or rows < min(taps[0], y) else "chunk",
        dot=machine.dot if integer else "none",
        parallel=machine.threads > 1 and products > WORTH,
    )


def default_depthwise(schedule: Any, machine: Machine) -> DepthwiseParameters:
    """As many columns as leave registers for their taps."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    n, y, x, c = (extent(schedule, loop) for loop in schedule.get_loops(out))
    taps = math.prod(extent(schedule, loop) for loop in schedule.get_loops(accumulate)[4:])
    columns = divisors(x, max(1, min(8, machine.tile // 2)))[-1]
    return DepthwiseParameters(
        columns,
        chunk_rows(n, y, machine.threads),
        unroll=taps * columns <= 100,
        parallel=machine.threads > 1 and n * y * x * c // BLOCK * taps > WORTH,
    )


def default_pool(schedule: Any, machine: Machine) -> PoolParameters:
    """Whole registers of channels."""
    accumulate, out = block(schedule, "acc"), block(schedule, "out")
    sizes = [extent(schedule, loop) for loop in schedule.get_loops(out)]
    count = reductions(schedule, accumulate)
    window = math.prod(extent(schedule, loop) for loop in schedule.get_loops(accumulate)[-count:])
    wide = str(schedule.get(accumulate).writes[0].source.dtype) == "uint8"
    lanes = next(vector for vector in ((64, 32, 16) if wide else (16,)) if sizes[-1] % vector == 0)
    work = math.prod(sizes) * window // lanes
    return PoolParameters(
        lanes,
        unroll=window <= 32,
        parallel=machine.threads > 1 and work > WORTH and sizes[0] * sizes[1] > 1,
    )


def default_elementwise(schedule: Any, machine: Machine) -> ElementwiseParameters:
    """Blocks of channels; threads where there is much to do."""
    sizes = [extent(schedule, each) for each in schedule.get_loops(block(schedule, "out"))]
    lanes = next(each for each in (16, 4, 1) if sizes[-1] % each == 0)
    return ElementwiseParameters(
        lanes, parallel=machine.threads > 1 and math.prod(sizes) > WORTH and len(sizes) > 1
    )


def default_unpack(schedule: Any, machine: Machine) -> UnpackParameters:
    """Blocks of channels; threads where there is much to do."""
    sizes = [extent(schedule, each) for each in schedule.get_loops(block(schedule, "out"))]
    return UnpackParameters(
        min(BLOCK, sizes[1]), parallel=machine.threads > 1 and math.prod(sizes) > WORTH
    )


def default_total(_schedule: Any, _machine: Machine) -> TotalParameters:
    """Nothing to choose."""
    return TotalParameters()
