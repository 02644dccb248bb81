"""Whether a model that was made of a mutated one computes what that does, by ONNX Runtime alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import load, to_bytes
from lprc.core.passing.contract import exact_up_to_2_24
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import RunError, rounding

from . import edge_values
from .judge import difference, is_promised

LARGEST = 100_000
"""Elements of an input."""

SIZES = (1, 2, 3)
"""What open dimensions may be."""


@dataclass(frozen=True)
class _Original:
    model: ir.Model
    data: bytes
    inputs: dict[str, dict[str, np.ndarray]]


def silently_wrong(original: Path, made: Path, seed: int) -> tuple[str, str]:
    """``same``, ``not run``, ``not judged`` or ``different``, and how they differ.

    Args:
        original: The mutated model, which lprc took.
        made: What lprc made of it and said nothing about.
        seed: Of the inputs.
    """
    rng = np.random.default_rng(seed)
    try:
        declared = _declared(onnx.ModelProto.FromString(original.read_bytes()), rng)
        sessions = [IsolatedSession(original), IsolatedSession(original)]
    except (LprcError, _NoInputsError):
        return "not run", ""
    try:
        result: IsolatedSession | RunError = IsolatedSession(made)
    except RunError as error:
        result = error
    kind = "not run"
    # Random operators go on from run to run: each session runs as often as the others.
    for family in ("normal", "edges", "non-negative"):
        inputs = {
            name: edge_values.array(rng, dtype, shape, family)
            for name, (dtype, shape) in declared.items()
        }
        try:
            before, again = (session.run(inputs) for session in sessions)
        except RunError:
            continue
        if difference(before, again, 0.0) is not None:
            return "not judged", ""
        found, what = _judged(original, result, family, inputs, before)
        if found == "different":
            return found, f"{family}: {what}"
        kind = found
    return kind, ""


def _judged(original: Path, result, family: str, inputs, before) -> tuple[str, str]:
    try:
        if isinstance(result, RunError):
            raise result
        after = result.run({name: inputs[name] for name in result.input_names})
    except (RunError, KeyError) as error:
        what = f"does not run: {str(error)[:200]}"
    else:
        model = load(original)
        what = difference(before, after, rounding(model), nothing=True)
        if what is None:
            return "same", ""
    model = load(original)
    try:
        source = _Original(model, to_bytes(model), {family: inputs})
        promised = is_promised(source, family, exact_up_to_2_24)
    except Exception:
        return "not judged", what
    return ("different" if promised else "not judged"), what


class _NoInputsError(Exception):
    pass


def _declared(model: onnx.ModelProto, rng: np.random.Generator):
    """Type and shape of the inputs that must be given."""
    sizes: dict[str, int] = {}
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    result = {}
    for value in model.graph.input:
        if value.name in constant:
            continue
        kind = value.type.tensor_type
        try:
            dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        except KeyError as error:
            raise _NoInputsError from error
        if dtype.kind not in "fiub":
            raise _NoInputsError
        shape = []
        for index, dim in enumerate(kind.shape.dim):
            symbol = dim.dim_param or f"{value.name} {index}"
            is_open = not dim.HasField("dim_value") or dim.dim_value <= 0
            if is_open:
                sizes.setdefault(symbol, int(rng.choice(SIZES)))
            shape.append(sizes[symbol] if is_open else dim.dim_value)
        if float(np.prod([float(size) for size in shape])) > LARGEST:
            raise _NoInputsError
        result[value.name] = (dtype, tuple(shape))
    return result
