"""The rewrites behind `embed-preprocessing`: what becomes part of a Conv, and what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.annotations import RANGE
from lprc.core.passing.pass_base import PassContext
from lprc.passes._images.chain import Chain
from lprc.passes._images.network_input import Readers, reversed_inputs, scaled_inputs
from lprc.passes._images.pixels import TO_NCHW, TO_NHWC, Pixels
from lprc.passes._images.resize_operators import resize
from lprc.passes._scaling import linear_layers

Change = Callable[[linear_layers.Linear], "linear_layers.Linear | str"]


@dataclass(frozen=True)
class Embedding:
    """What is to be inside.

    Attributes:
        pixels: The arithmetic.
        dtype: The type of the pictures' elements.
        center: What is subtracted in front of the network even where all of the mean could become
            part of a Conv.
        note: What becomes of the input, in words.
    """

    pixels: Pixels
    dtype: ir.DataType
    center: float
    note: str


@dataclass
class _Rest:
    """What stays in front of the network: ``(x - mean) * scale``, in the pictures' order."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    reverse: bool


def embed(graph: ir.Graph, value: ir.Value, wanted: Embedding, context: PassContext) -> None:
    """Let the input `value` take pictures.

    Args:
        graph: The main graph.
        value: The network's input, which keeps its name.
        wanted: What is to be inside.
        context: Told of it; what follows the first rewrite are Convs that take something over.
    """
    readers = Readers.of(value)
    first = readers.uses[0][0]
    network_type, network_shape = value.dtype, value.shape
    assert network_type is not None
    assert network_shape is not None
    if not context.rewrite(first, f"{value.name}: {wanted.note}"):
        return
    rest = _absorbed(readers, wanted, context)
    value.type = ir.TensorType(wanted.dtype)
    value.shape = _in_layout(network_shape, wanted.pixels)
    value.metadata_props.pop(RANGE, None)
    chain = Chain(graph, value, first)
    _build(chain, rest, wanted.pixels, network_type)
    readers.read(chain.value)


def _absorbed(readers: Readers, wanted: Embedding, context: PassContext) -> _Rest:
    """Let Convs take over what they can; what is left."""
    pixels = wanted.pixels
    rest = _Rest(_ordered(pixels.mean, pixels), _ordered(pixels.scale, pixels), pixels.reverse)
    if pixels.network != "NCHW":
        context.skip(readers.uses[0][0], "the network's channels are last")
        return rest
    if rest.reverse and _change(
        readers, reversed_inputs, "takes the colours as they come", context
    ):
        rest.reverse = False
    # A Conv reads what is left behind the change of order, if that is left too.
    turn = -1 if rest.reverse else 1
    mean, scale = (np.array(values[::turn]) for values in (rest.mean, rest.scale))
    offset = (wanted.center - mean) * scale
    largest = 255.0 + max(np.abs(mean).max(), wanted.center)
    if offset.any() and _change(
        readers, _Scaling(scale, offset, largest), "takes mean and scale over", context
    ):
        return _Rest((wanted.center,), (1.0,), rest.reverse)
    if (scale != 1.0).any() and _change(
        readers, _Scaling(scale, np.zeros(1), largest), "takes the scale over", context
    ):
        rest.scale = (1.0,)
    return rest


def _ordered(values: tuple[float, ...], pixels: Pixels) -> tuple[float, ...]:
    """Numbers of the network's channels in the pictures' order; one where all are equal."""
    if len(set(values)) == 1:
        return values[:1]
    return values[::-1] if pixels.reverse else values


@dataclass(frozen=True)
class _Scaling:
    factor: NDArray[np.float64]
    offset: NDArray[np.float64]
    largest: float

    def __call__(self, layer: linear_layers.Linear) -> linear_layers.Linear | str:
        return scaled_inputs(layer, self.factor, self.offset, self.largest)


def _change(readers: Readers, change: Change, note: str, context: PassContext) -> bool:
    """Change all Convs that read the input, or none; whether that was done."""
    layers = readers.convs()
    if isinstance(layers, str):
        context.skip(readers.uses[0][0], layers)
        return False
    changed: list[linear_layers.Linear] = []
    for layer in layers:
        new = change(layer)
        if isinstance(new, str):
            context.skip(layer.node, new)
            return False
        changed.append(new)
    if not context.rewrite(layers[0].node, note):
        return False
    for layer in changed:
        linear_layers.store(layer, sources=())
    return True


def _build(chain: Chain, rest: _Rest, pixels: Pixels, network: ir.DataType) -> None:
    """Write what is left as operators; the cheapest types and orders first."""
    affine = any(rest.mean) or any(number != 1.0 for number in rest.scale)
    # Means of float16 would be off by a quarter of a byte's step.
    precise = affine or pixels.resizing is not None
    chain.cast(ir.DataType.FLOAT if precise and network == ir.DataType.FLOAT16 else network)
    layout = pixels.layout
    if pixels.resizing is not None:
        if layout == "NHWC":
            chain.transpose(TO_NCHW)
        resize(chain, pixels.resizing)
        layout = "NCHW"
    axis = 1 if layout == "NCHW" else 3
    if any(rest.mean):
        chain.with_constant("Sub", rest.mean, axis, "mean")
    if any(number != 1.0 for number in rest.scale):
        chain.with_constant("Mul", rest.scale, axis, "scale")
    if rest.reverse:
        chain.gather((2, 1, 0), axis)
    if layout != pixels.network:
        chain.transpose(TO_NCHW if pixels.network == "NCHW" else TO_NHWC)
    chain.cast(network)


def _in_layout(shape: ir.Shape, pixels: Pixels) -> ir.Shape:
    """The network's shape with the pictures' size, in their layout."""
    dims = list(shape) if pixels.network == "NCHW" else [shape[axis] for axis in TO_NCHW]
    if pixels.resizing is not None:
        dims[2:] = pixels.resizing.pictures or [ir.SymbolicDim(name) for name in ANY_SIZE]
    return ir.Shape(dims if pixels.layout == "NCHW" else [dims[axis] for axis in TO_NHWC])


ANY_SIZE = ("picture_height", "picture_width")
"""The symbols of the size of pictures that may have any."""
