"""Run graphs in ONNX Runtime and compare what comes out."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.running.ort_limits import FLOAT_ACTIVATIONS, disabled_optimizers, rounded
from lprc.core.running.random_inputs import random_inputs

__all__ = ["OutputDelta", "RunError", "Session", "compare", "random_inputs", "rounding", "run"]

Arrays = Mapping[str, NDArray[Any]]


class RunError(LprcError):
    """A graph that ONNX Runtime can't load or run."""

    exit_code = 3


UNKNOWN_NOISE = 1e-6
"""What counts as rounding where nobody measured how far it moves an output."""


@dataclass(frozen=True)
class OutputDelta:
    """How far one output moved.

    Attributes:
        name: The output.
        max_abs: Largest absolute difference.
        mean_abs: Mean absolute difference.
        magnitude: Largest absolute value of the reference.
        mismatch: What can't be compared, for instance another shape; None if it can.
        noise: The largest absolute difference that rounding alone may make.
        channel: The largest difference beyond its own noise of any channel, relative to that
            channel's magnitude; 0 where the noise is not known.
    """

    name: str
    max_abs: float
    mean_abs: float
    magnitude: float
    mismatch: str | None = None
    noise: float = UNKNOWN_NOISE
    channel: float = 0.0

    @property
    def relative(self) -> float:
        """``max_abs`` over ``magnitude``."""
        if self.max_abs == 0:
            return 0.0
        return self.max_abs / self.magnitude if self.magnitude > 0 else float("inf")

    def within(self, tolerance: float) -> bool:
        """Whether the output moved by no more than `tolerance` of the reference's magnitude.

        Differences that rounding alone may make are none. No channel may move by more than
        `channel_tolerance` of its own magnitude, however small beside the others' it is.
        """
        if self.mismatch is not None or self.channel > channel_tolerance(tolerance):
            return False
        return self.relative <= tolerance or self.max_abs <= self.noise

    def __str__(self) -> str:
        """For instance ``logits: max 3.1e-05, mean 2.2e-06 of magnitude 45.2``."""
        if self.mismatch is not None:
            return f"{self.name}: {self.mismatch}"
        text = (
            f"{self.name}: max {self.max_abs:.2g}, mean {self.mean_abs:.2g} "
            f"of magnitude {self.magnitude:.3g}"
        )
        if self.channel > channel_tolerance(0.0):
            text += f", one channel by {self.channel:.2g} of its own"
        return text


def channel_tolerance(tolerance: float) -> float:
    """How far one channel may move, relative to its own magnitude.

    Larger than for the whole output, because a channel that is small beside the others is often
    the difference of large numbers; never so large that a channel may vanish.
    """
    return min(0.5, max(1e-2, 25 * tolerance))


def rounding(model: ir.Model) -> float:
    """The relative difference that rounding alone may make: eight units of the coarsest float.

    About 1e-6 for float32, 8e-3 for float16, 6e-2 for bfloat16.
    """
    dtypes = {value.dtype for graph in model.graphs() for value in _values(graph)}
    floats = [dtype for dtype in dtypes if dtype in _EPSILON]
    return 8 * max((_EPSILON[dtype] for dtype in floats), default=0.0)


def dynamic_step(model: ir.Model) -> float:
    """What a number on the border between two steps of a dynamic quantisation costs; 0 without one.

    Where `DynamicQuantizeLinear` computes the scales of activations, a rounding error in front of
    it moves such a number by one of 256 steps, and the scale itself may move another.
    """
    dynamic = any(node.op_type == "DynamicQuantizeLinear" for node in model.graph.all_nodes())
    return 2 / 256 if dynamic else 0.0


_EPSILON = {
    ir.DataType.DOUBLE: 2.0**-52,
    ir.DataType.FLOAT: 2.0**-23,
    ir.DataType.FLOAT16: 2.0**-10,
    ir.DataType.BFLOAT16: 2.0**-7,
}


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def compare(before: Arrays, after: Arrays, noise: Arrays | None = None) -> list[OutputDelta]:
    """How far each output of `before` moved; outputs are matched by name.

    Floats may move and the caller judges by how much; NaN equals NaN, Inf equals Inf of its sign.
    Integers, Booleans and strings may not. A sequence is compared element by element.

    Args:
        before: The reference's outputs by name.
        after: What is judged.
        noise: The absolute difference that rounding may make of each element, from
            `lprc.core.running.noise`; channels are judged where it is known.
    """
    before, after = _flat(before), _flat(after)
    deltas = [
        _delta(name, array, after.get(name), (noise or {}).get(name))
        for name, array in before.items()
    ]
    extra = [name for name in after if name not in before]
    return deltas + [_mismatch(name, "a new output") for name in extra]


def _flat(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """`outputs` with the elements of sequences as outputs of their own, ``name[0]`` and so on."""
    flat: dict[str, Any] = {}
    for name, value in outputs.items():
        if isinstance(value, (list, tuple)):
            flat[f"{name}.length"] = np.array(len(value))
            flat.update(_flat({f"{name}[{i}]": item for i, item in enumerate(value)}))
        elif isinstance(value, dict):
            flat[f"{name}.keys"] = np.array([str(key) for key in value])
            flat.update(_flat({f"{name}[{key}]": item for key, item in value.items()}))
        else:
            flat[name] = _NOTHING if value is None else np.asarray(value)
    return flat


_NOTHING = np.array("an optional without a value")


def _mismatch(name: str, what: str) -> OutputDelta:
    return OutputDelta(name, 0.0, 0.0, 0.0, what)


def _delta(
    name: str, before: Any, after: Any, noise: NDArray[np.float64] | None = None
) -> OutputDelta:
    if after is None:
        return _mismatch(name, "is gone")
    if before.dtype != after.dtype or before.shape != after.shape:
        is_now, was = f"{after.dtype}{list(after.shape)}", f"{before.dtype}{list(before.shape)}"
        return _mismatch(name, f"is {is_now}, was {was}")
    if before.dtype.kind == "c":
        return _numeric_delta(name, _parts(before), _parts(after))
    if _is_float(before.dtype):
        delta = _numeric_delta(name, before.astype(np.float64), after.astype(np.float64))
        return delta if noise is None else _beyond_noise(delta, before, after, noise)
    different = int((before != after).sum())
    what = f"{different} of {before.size} elements differ" if different else None
    if before.dtype.kind not in "iu":
        return OutputDelta(name, 0.0, 0.0, 0.0, what)
    delta = _numeric_delta(name, before.astype(np.float64), after.astype(np.float64))
    return replace(delta, mismatch=what)


def _is_float(dtype: np.dtype[Any]) -> bool:
    # The bfloat16 and float8 of ml_dtypes are of kind V, its int4 too.
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _parts(array: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([array.real, array.imag]).astype(np.float64)


def _numeric_delta(
    name: str, before: NDArray[np.float64], after: NDArray[np.float64]
) -> OutputDelta:
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        return _mismatch(name, "NaN or Inf moved")
    if not np.isfinite(after[finite]).all():
        return _mismatch(name, "NaN or Inf appeared")
    if not finite.any():
        return OutputDelta(name, 0.0, 0.0, 0.0)
    with np.errstate(over="ignore"):
        difference = np.abs(after[finite] - before[finite])
        mean = float(difference.mean())
    return OutputDelta(
        name,
        max_abs=float(difference.max()),
        mean_abs=mean,
        magnitude=float(np.abs(before[finite]).max()),
    )


def _beyond_noise(
    delta: OutputDelta, before: NDArray[Any], after: NDArray[Any], noise: NDArray[np.float64]
) -> OutputDelta:
    """`delta` judged by what rounding does to this output, whole and channel by channel."""
    if delta.mismatch is not None or not before.size:
        return delta
    noise = np.broadcast_to(noise, before.shape)
    reference = np.nan_to_num(before.astype(np.float64), posinf=0.0, neginf=0.0)
    moved = np.abs(np.nan_to_num(after.astype(np.float64), posinf=0.0, neginf=0.0) - reference)
    channel = max(
        (
            _worst_channel(np.abs(reference), moved, noise, axis)
            for axis in {1, before.ndim - 1}
            if before.ndim > 1
        ),
        default=0.0,
    )
    # The smallest normal number is as good as zero, as the contract says.
    floor = max(float(noise.max()), _SMALLEST)
    return replace(delta, noise=floor, channel=channel)


_SMALLEST = 8 * float(np.finfo(np.float32).smallest_normal)


def _worst_channel(
    magnitude: NDArray[np.float64],
    moved: NDArray[np.float64],
    noise: NDArray[np.float64],
    axis: int,
) -> float:
    others = tuple(index for index in range(moved.ndim) if index != axis)
    excess = moved.max(axis=others) - noise.max(axis=others) - _SMALLEST
    largest = magnitude.max(axis=others)
    beyond = excess > 0
    if not beyond.any():
        return 0.0
    with np.errstate(divide="ignore"):
        return float((excess[beyond] / largest[beyond]).max())


class Session:
    """A graph loaded in ONNX Runtime on the CPU, without ORT's own graph rewrites by default.

    ORT's fusions are off so that a comparison shows what our rewrites did.

    Args:
        model: The graph, its bytes, or its file (for graphs of more than 2 GB).
        optimize: Whether ORT may rewrite the graph.
        threads: ORT's threads within one operator.

    Raises:
        RunError: ONNX Runtime refuses the graph.
    """

    def __init__(
        self, model: ir.Model | bytes | Path, *, optimize: bool = False, threads: int = 1
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        # A thread that spins between operators takes the core from whoever looks at the outputs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        options.add_session_config_entry(*FLOAT_ACTIVATIONS)
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = to_bytes(model) if isinstance(model, ir.Model) else model
        try:
            data = rounded(data)
            self._session = ort.InferenceSession(
                data,
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=disabled_optimizers(data) if optimize else None,
            )
        except Exception as error:  # ORT's exceptions share no base of their own
            raise _run_error("ONNX Runtime can't load the graph", error) from error
        self.input_names = [value.name for value in self._session.get_inputs()]
        self.output_names = [value.name for value in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run the graph once.

        Raises:
            RunError: ONNX Runtime fails on it.
        """
        try:
            outputs = self._session.run(None, dict(inputs))
        except Exception as error:
            raise _run_error("ONNX Runtime can't run the graph", error) from error
        return dict(zip(self.output_names, outputs, strict=True))

    def run_within(self, inputs: Arrays, seconds: float) -> dict[str, NDArray[Any]]:
        """Run the graph once; it is stopped between two nodes where it takes longer.

        Raises:
            RunError: ONNX Runtime fails on it, or it was stopped.
        """
        import onnxruntime as ort

        options = ort.RunOptions()
        stop = threading.Timer(seconds, setattr, (options, "terminate", True))
        stop.start()
        try:
            outputs = self._session.run(None, dict(inputs), options)
        except Exception as error:
            raise _run_error("ONNX Runtime can't run the graph", error) from error
        finally:
            stop.cancel()
        return dict(zip(self.output_names, outputs, strict=True))


def run(model: ir.Model | bytes | Path, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """Load and run a graph once; errors as of `Session`."""
    return Session(model).run(inputs)


# For instance "[ONNXRuntimeError] : 1 : FAIL : ", and where in ORT's own sources it happened.
_NOISE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+\.(?:h|cc|cpp):\d+ [^()]*\([^)]*\)\s*"
)


def _run_error(what: str, error: Exception) -> RunError:
    reason = " ".join(_NOISE.sub("", str(error)).split()) or type(error).__name__
    return RunError(f"{what}: {reason[:300]}")
