"""Pictures of another size than the network takes, as operators."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from lprc.passes._images.chain import Chain
from lprc.passes._images.resizing import Resizing, Size, resize_attributes, written_scale


def resize(chain: Chain, resizing: Resizing) -> None:
    """Bring the chain's value, float [N, C, height, width], to the network's size."""
    if resizing.pictures is None:
        _Dynamic(chain, resizing).build()
    else:
        _fixed(chain, resizing, resizing.pictures)


def _fixed(chain: Chain, resizing: Resizing, pictures: Size) -> None:
    """All sizes are constants; scales, as they leave the batch open."""
    assert chain.value.shape is not None
    front = list(chain.value.shape)[:2]
    resized, operators = resizing.resized(pictures), chain.operators
    if resized != pictures:
        pairs = zip(pictures, resized, strict=True)
        scales = np.array([1, 1, *(written_scale(has, wants) for has, wants in pairs)], np.float32)
        chain.add(
            "Resize",
            [None, operators.constant("scales", scales)],
            name="resize",
            attributes=resize_attributes(resizing.interpolation),
            shape=[*front, *resized],
        )
    if resized == resizing.size:
        return
    begin = resizing.begin(resized)
    if resizing.how == "crop":
        ends = [start + size for start, size in zip(begin, resizing.size, strict=True)]
        _slice(chain, resizing, operators.integers("crop_begin", begin),
               operators.integers("crop_end", ends))  # fmt: skip
        return
    end = [
        wants - has - start for wants, has, start in zip(resizing.size, resized, begin, strict=True)
    ]
    _pad(chain, resizing, operators.integers("border", [0, 0, *begin, 0, 0, *end]))


def _slice(chain: Chain, resizing: Resizing, begin: ir.Value, end: ir.Value) -> None:
    assert chain.value.shape is not None
    axes = chain.operators.integers("places", [2, 3])
    shape = [*list(chain.value.shape)[:2], *resizing.size]
    chain.add("Slice", [begin, end, axes], name="crop", shape=shape)


def _pad(chain: Chain, resizing: Resizing, pads: ir.Value) -> None:
    assert chain.value.shape is not None
    assert chain.value.dtype is not None
    fill = chain.operators.constant("fill", np.array(resizing.fill, chain.value.dtype.numpy()))
    shape = [*list(chain.value.shape)[:2], *resizing.size]
    chain.add("Pad", [pads, fill], name="letterbox", shape=shape)


class _Dynamic:
    """Sizes are computed from the picture's shape.

    Args:
        chain: Its value becomes another one.
        resizing: What to build.
    """

    def __init__(self, chain: Chain, resizing: Resizing) -> None:
        self._chain, self._resizing = chain, resizing
        self._write = chain.operators
        self._target = self._write.integers("network_size", resizing.size)

    def build(self) -> None:
        """Write the operators."""
        chain, write, how = self._chain, self._write, self._resizing.how
        assert chain.value.shape is not None
        front = list(chain.value.shape)[:2]
        shape = write.add("Shape", [chain.value], "shape", [4], dtype=ir.DataType.INT64)
        kept = write.add("Gather", [shape, write.integers("front", [0, 1])], "front_sizes", [2])
        size = self._target if how == "stretch" else self._scaled(shape)
        sizes = write.add("Concat", [kept, size], "sizes", [4], attributes={"axis": 0})
        chain.add(
            "Resize", [None, None, sizes], name="resize",
            attributes=resize_attributes(self._resizing.interpolation),
            shape=[*front, *(self._resizing.size if how == "stretch" else (None, None))],
        )  # fmt: skip
        if how == "letterbox":
            self._border(size)
        elif how == "crop":
            self._cut(size)

    def _scaled(self, shape: ir.Value) -> ir.Value:
        """`Resizing.resized` of the picture's size: INT64 [2]."""
        write, floats, wide = self._write, ir.DataType.FLOAT, [2]
        places = write.integers("places", [2, 3])
        size = write.cast(
            write.add("Gather", [shape, places], "picture_size", wide), floats, "picture_float"
        )
        target = write.constant("target", np.array(self._resizing.size, np.float32))
        ratios = write.add("Div", [target, size], "ratios", wide)
        kind = "ReduceMin" if self._resizing.how == "letterbox" else "ReduceMax"
        scale = write.add(kind, [ratios], "ratio", [1], attributes={"keepdims": 1})
        half = write.constant("half", np.array(0.5, np.float32))
        one = write.constant("one_pixel", np.array(1, np.float32))
        exact = write.add("Mul", [size, scale], "scaled", wide)
        rounded = write.add(
            "Floor", [write.add("Add", [exact, half], "raised", wide)], "floor", wide
        )
        least = write.add("Max", [rounded, one], "at_least_one", wide)
        return write.cast(least, ir.DataType.INT64, "scaled_size")

    def _half(self, difference: ir.Value) -> ir.Value:
        two = self._write.constant("two", np.array(2, np.int64))
        return self._write.add("Div", [difference, two], "begin", [2])

    def _border(self, size: ir.Value) -> None:
        write = self._write
        free = write.add("Sub", [self._target, size], "free", [2])
        begin = self._half(free)
        end = write.add("Sub", [free, begin], "end", [2])
        none = write.integers("no_border", [0, 0])
        pads = write.add("Concat", [none, begin, none, end], "border", [8], attributes={"axis": 0})
        _pad(self._chain, self._resizing, pads)

    def _cut(self, size: ir.Value) -> None:
        write = self._write
        begin = self._half(write.add("Sub", [size, self._target], "too_much", [2]))
        end = write.add("Add", [begin, self._target], "crop_end", [2])
        _slice(self._chain, self._resizing, begin, end)
