"""Whether a pass kept the promise `exact` on one graph: `lprc/core/passing/contract.py` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import onnx
import onnx_ir as ir

from lprc.core.errors import LprcError
from lprc.core.graph import provenance
from lprc.core.graph.printer import model_hash
from lprc.core.onnx_io.model_io import to_bytes, to_proto
from lprc.core.passing.contract import EXACT_TOLERANCE, Contract
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import RunError, Session, rounding

from .domain import agrees_with_shapes, is_inside, is_well_conditioned

Inputs = Mapping[str, Mapping[str, np.ndarray]]


HALF_PRECISION = 1e-3
"""Rounding of at least this much is float16's."""


@dataclass(frozen=True)
class Verdict:
    """What became of a graph.

    Attributes:
        kind: ``unchanged``, ``same``, ``outside`` (different, where nothing is promised), or what
            is wrong: ``refused`` by the pass, ``raised``, ``undeclared`` change, ``invalid``,
            ``different``.
        what: Where and how.
        family: The input set that shows it.
    """

    kind: str
    what: str = ""
    family: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.kind in ("raised", "undeclared", "invalid", "different")


class Ran(Protocol):
    """A graph, its bytes, and its inputs by family."""

    model: ir.Model
    data: bytes
    inputs: Inputs


class Source:
    """A graph, and what it puts out for each input set; runs it once for all passes.

    Raises:
        RunError: ONNX Runtime refuses it, or all inputs.
    """

    def __init__(self, model: ir.Model, inputs: Inputs) -> None:
        provenance.stamp(model)
        self.model = model
        self.data = to_bytes(model)
        self.inputs = inputs
        self.hash = model_hash(model)
        session, again = Session(self.data), Session(self.data)
        self.outputs = {}
        for family, arrays in inputs.items():
            try:
                first, second = session.run(arrays), again.run(arrays)
            except RunError:
                continue
            if difference(first, second, 0.0) is None:  # ONNX Runtime read what it never wrote
                self.outputs[family] = first
        if not self.outputs:
            raise RunError("refused on all inputs")
        onnx.checker.check_model(to_proto(model))


def judge(source: Source, pass_text: str) -> tuple[Verdict, ir.Model]:
    """Run one pass on a copy and say whether it kept its promise; also what it made."""
    # Not read again: that would make sizes of 0, which inference wrote, unknown.
    model = source.model.clone()
    pipeline = Pipeline.parse(pass_text)
    try:
        (record,) = PassManager(pipeline).run(model)
    except LprcError as error:
        return Verdict("refused", str(error)[:200]), model
    except Exception as error:
        return Verdict("raised", f"{type(error).__name__}: {str(error)[:200]}"), model
    if not record.changed:
        same = model_hash(model) == source.hash
        return Verdict("unchanged" if same else "undeclared"), model
    return _compare(source, model, record.contract), model


def _compare(source: Source, model: ir.Model, contract: Contract) -> Verdict:
    try:
        onnx.checker.check_model(to_proto(model))
        session = Session(model)
    except (onnx.checker.ValidationError, RunError) as error:
        return Verdict("invalid", str(error)[:300])
    names = [value.name for value in model.graph.inputs]
    outside = None
    for family, before in source.outputs.items():
        arrays = {name: source.inputs[family][name] for name in names}
        try:
            after = session.run(arrays)
            what = difference(
                before, after, rounding(source.model), nothing=contract.domain == "in range"
            )
        except RunError as error:
            what = f"does not run: {str(error)[:200]}"
        if what is None:
            continue
        if is_promised(source, family, contract):
            return Verdict("different", what, family)
        outside = Verdict("outside", what, family)
    return outside or Verdict("same")


def is_promised(source: Ran, family: str, contract: Contract) -> bool:
    """Whether `contract` says anything about a graph on its inputs of `family`."""
    proto = onnx.ModelProto.FromString(source.data)
    inputs = source.inputs[family]
    domain = contract.domain
    if not agrees_with_shapes(source.model, inputs):
        return False
    if domain == "everywhere":
        # ONNX Runtime computes float16 in float32, and rounds only where another operator says so:
        # what overflows in one graph may not in the other.
        if rounding(source.model) < HALF_PRECISION:
            return True
        domain = "finite"
    if not is_inside(proto, inputs, domain, contract.largest):
        return False
    # Kernels of two operator sets may round differently, which is no more than rounding.
    return is_well_conditioned(proto, inputs)


def difference(before, after, unit: float, *, nothing: bool = False) -> str | None:
    """How the outputs differ by more than rounding; None where they do not.

    Args:
        before: Outputs by name.
        after: The same.
        unit: The relative difference that is rounding.
        nothing: Whether the smallest normal number is as good as zero.
    """
    if list(before) != list(after):
        return f"outputs are {list(after)}, were {list(before)}"
    for name, old in before.items():
        new = after[name]
        if isinstance(old, list) or isinstance(new, list):
            sides = (_numbered(old), _numbered(new))
            what = difference(*sides, unit, nothing=nothing)
            if what is not None:
                return f"{name}: {what}"
            continue
        old, new = np.asarray(old), np.asarray(new)
        if old.dtype != new.dtype or old.shape != new.shape:
            return f"{name} is {new.dtype}{list(new.shape)}, was {old.dtype}{list(old.shape)}"
        if old.dtype.kind != "f":
            if not np.array_equal(old, new):
                return f"{name}: {int((old != new).sum())} of {old.size} elements differ"
            continue
        floor = float(np.finfo(old.dtype).tiny) if nothing else 0.0
        what = _float_difference(old.astype(np.float64), new.astype(np.float64), unit, floor)
        if what is not None:
            return f"{name}: {what}"
    return None


def _numbered(sequence) -> dict:
    """The elements of a sequence by their number; an optional without a value has none."""
    items = sequence if isinstance(sequence, list) else [sequence]
    return {f"[{number}]": item for number, item in enumerate(items) if item is not None}


def _float_difference(old: np.ndarray, new: np.ndarray, unit: float, floor: float) -> str | None:
    finite = np.isfinite(old)
    if not np.array_equal(old[~finite], new[~finite], equal_nan=True):
        return "NaN or Inf moved"
    if not np.isfinite(new[finite]).all():
        return "NaN or Inf appeared"
    if not finite.any():
        return None
    distance = np.abs(old[finite] - new[finite])
    allowed = max(EXACT_TOLERANCE / 10, unit) * np.abs(old[finite]).max() + floor
    if not (distance > allowed).any():
        return None
    return f"differs by {distance.max():.3g} of magnitude {np.abs(old[finite]).max():.3g}"
