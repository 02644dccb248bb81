"""Run graphs in ONNX Runtime and compare what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import LprcError
from lprc.core.model_io import to_bytes
from lprc.core.random_inputs import random_inputs

__all__ = ["OutputDelta", "RunError", "Session", "compare", "random_inputs", "run"]

Arrays = Mapping[str, NDArray[Any]]


class RunError(LprcError):
    """A graph that ONNX Runtime can't load or run."""

    exit_code = 3


@dataclass(frozen=True)
class OutputDelta:
    """How far one output moved.

    Attributes:
        name: The output.
        max_abs: Largest absolute difference.
        mean_abs: Mean absolute difference.
        magnitude: Largest absolute value of the reference.
        mismatch: What can't be compared, for instance another shape; None if it can.
    """

    name: str
    max_abs: float
    mean_abs: float
    magnitude: float
    mismatch: str | None = None

    @property
    def relative(self) -> float:
        """``max_abs`` over ``magnitude``."""
        if self.max_abs == 0:
            return 0.0
        return self.max_abs / self.magnitude if self.magnitude > 0 else float("inf")

    def within(self, tolerance: float) -> bool:
        """Whether the output moved by no more than `tolerance` of the reference's magnitude.

        Where the reference is almost zero everywhere, differences of 1e-6 are rounding too.
        """
        return self.mismatch is None and (self.relative <= tolerance or self.max_abs <= 1e-6)

    def __str__(self) -> str:
        """For instance ``logits: max 3.1e-05, mean 2.2e-06 of magnitude 45.2``."""
        if self.mismatch is not None:
            return f"{self.name}: {self.mismatch}"
        return (
            f"{self.name}: max {self.max_abs:.2g}, mean {self.mean_abs:.2g} "
            f"of magnitude {self.magnitude:.3g}"
        )


def compare(before: Arrays, after: Arrays) -> list[OutputDelta]:
    """How far each output of `before` moved; outputs are matched by name."""
    deltas = [_delta(name, array, after.get(name)) for name, array in before.items()]
    extra = [name for name in after if name not in before]
    return deltas + [OutputDelta(name, 0, 0, 0, "a new output") for name in extra]


def _delta(name: str, before: Any, after: Any) -> OutputDelta:
    if after is None:
        return OutputDelta(name, 0, 0, 0, "is gone")
    before, after = np.asarray(before), np.asarray(after)
    if before.dtype != after.dtype or before.shape != after.shape:
        described = f"{after.dtype}{list(after.shape)}"
        return OutputDelta(name, 0, 0, 0, f"is {described}, was {before.dtype}{list(before.shape)}")
    if before.dtype.kind not in "fiub":
        same = np.array_equal(before, after)
        return OutputDelta(name, 0, 0, 0, None if same else "has other values")
    return _numeric_delta(name, before.astype(np.float64), after.astype(np.float64))


def _numeric_delta(
    name: str, before: NDArray[np.float64], after: NDArray[np.float64]
) -> OutputDelta:
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        return OutputDelta(name, 0, 0, 0, "NaN or Inf moved")
    if not np.isfinite(after[finite]).all():
        return OutputDelta(name, 0, 0, 0, "NaN or Inf appeared")
    if not finite.any():
        return OutputDelta(name, 0.0, 0.0, 0.0)
    difference = np.abs(after[finite] - before[finite])
    return OutputDelta(
        name,
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
        magnitude=float(np.abs(before[finite]).max()),
    )


class Session:
    """A graph loaded in ONNX Runtime on the CPU, without ORT's own graph rewrites by default.

    ORT's fusions are off so that a comparison shows what our rewrites did.

    Raises:
        RunError: ONNX Runtime refuses the graph.
    """

    def __init__(
        self, model: ir.Model | bytes, *, optimize: bool = False, threads: int = 1
    ) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        data = model if isinstance(model, bytes) else to_bytes(model)
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
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


def run(model: ir.Model | bytes, inputs: Arrays) -> dict[str, NDArray[Any]]:
    """Load and run a graph once; errors as of `Session`."""
    return Session(model).run(inputs)


def _run_error(what: str, error: Exception) -> RunError:
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = lines[0].removeprefix("[ONNXRuntimeError] : ") if lines else type(error).__name__
    return RunError(f"{what}: {reason[:300]}")
