"""Where `exact` promises something for passes that recompute: what values a graph goes through."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx import TensorProto, numpy_helper

from lprc.core.onnx_io.model_io import to_proto
from lprc.core.passing.contract import Domain
from lprc.core.running.numerics import RunError, Session

_FACTORS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Mul")


def is_inside(proto: onnx.ModelProto, inputs, domain: Domain, most: float) -> bool:
    """Whether all values that the graph goes through are in the domain of an exact pass."""
    known = dict(inputs)
    for tensor in proto.graph.initializer:
        known.setdefault(tensor.name, numpy_helper.to_array(tensor))
    known |= _intermediate(proto, inputs)
    floats = {name: array for name, array in known.items() if array.dtype.kind == "f"}
    if not all(np.isfinite(array).all() for array in floats.values()):
        return False
    if domain == "finite":
        return True
    if not all(_is_plain(array, most) for array in floats.values()):
        return False
    return all(
        _has_room(*(floats[name] for name in node.input[:2]))
        for node in proto.graph.node
        if node.op_type in _FACTORS and all(name in floats for name in node.input[:2])
    )


def agrees_with_shapes(model: ir.Model, inputs) -> bool:
    """Whether ONNX Runtime gives every value the shape that ONNX gives it; it does not always."""
    found = _intermediate(to_proto(model), inputs)
    for node in model.graph:
        for value in node.outputs:
            array = found.get(value.name or "")
            if array is not None and value.shape is not None and not _fits(array, value.shape):
                return False
    return True


def _fits(array: np.ndarray, shape: ir.Shape) -> bool:
    if array.ndim != len(shape):
        return False
    pairs = zip(array.shape, shape, strict=True)
    return all(not isinstance(size, int) or size == real for real, size in pairs)


def _is_plain(array: np.ndarray, most: float) -> bool:
    limits = np.finfo(array.dtype)
    size = np.abs(array[array != 0].astype(np.float64))
    if not size.size:
        return True
    largest = min(most, float(limits.max))
    return bool(size.max() <= largest and size.min() >= limits.tiny)


def _has_room(left: np.ndarray, right: np.ndarray) -> bool:
    sizes = [np.abs(array[array != 0].astype(np.float64)) for array in (left, right)]
    if not all(size.size for size in sizes):
        return True
    return bool(sizes[0].min() * sizes[1].min() >= np.finfo(left.dtype).tiny)


def _intermediate(proto: onnx.ModelProto, inputs) -> dict[str, np.ndarray]:
    """What every node puts out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    sequences = {"SplitToSequence", "SequenceConstruct"}
    names = [
        name
        for node in copy.graph.node
        if node.op_type not in sequences
        for name in node.output
        if name
    ]
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return {
        name: np.asarray(array)
        for name, array in Session(copy.SerializeToString()).run(inputs).items()
        if isinstance(array, np.ndarray)
    }


def is_well_conditioned(proto: onnx.ModelProto, inputs) -> bool:
    """Whether outputs move little when every number of the graph moves by a rounding error."""
    if _normalises_rounding(proto, inputs):
        return False
    rng = np.random.default_rng(0)
    before = Session(proto.SerializeToString()).run(inputs)
    for _ in range(3):
        moved = onnx.ModelProto()
        moved.CopyFrom(proto)
        for tensor in _tensors(moved):
            if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
                array = _nudged(rng, numpy_helper.to_array(tensor))
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        try:
            after = Session(moved.SerializeToString()).run(
                {name: _nudged(rng, array) for name, array in inputs.items()}
            )
        except RunError:
            continue
        if any(not _is_near(before[name], after[name]) for name in before):
            return False
    return True


def _normalises_rounding(proto: onnx.ModelProto, inputs) -> bool:
    """Whether a BatchNormalization in training subtracts the mean of what is equal but for rounding."""
    nodes = [node for node in proto.graph.node if node.op_type == "BatchNormalization"]
    nodes = [node for node in nodes if len(node.output) > 1]
    if not nodes:
        return False
    known = {**inputs, **_intermediate(proto, inputs)}
    arrays = [known[node.input[0]] for node in nodes if node.input[0] in known]
    for array in (array.astype(np.float64) for array in arrays if array.size and array.ndim > 1):
        axes = tuple(axis for axis in range(array.ndim) if axis != 1)
        spread, largest = np.ptp(array, axis=axes), np.abs(array).max(axis=axes)
        if (spread <= 2.0**-17 * largest).any():
            return True
    return False


def _tensors(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    constants = [node for node in proto.graph.node if node.op_type == "Constant"]
    inside = [one.t for node in constants for one in node.attribute if one.HasField("t")]
    return [*proto.graph.initializer, *inside]


def _nudged(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        return array
    unit = float(np.finfo(array.dtype).eps)
    factor = 1 + unit * rng.choice([-1.0, 0.0, 1.0], array.shape)
    return np.asarray(array.astype(np.float64) * factor).astype(array.dtype)


def _is_near(before, after) -> bool:
    before, after = np.asarray(before), np.asarray(after)
    if before.dtype.kind != "f":
        return np.array_equal(before, after)
    finite = np.isfinite(before) & np.isfinite(after)
    if not finite.any():
        return True
    distance = np.abs(before[finite].astype(np.float64) - after[finite].astype(np.float64))
    unit = 2.0**-10 if before.dtype == np.float16 else 2.0**-23
    return bool(distance.max() <= 16 * unit * np.abs(before[finite].astype(np.float64)).max())
