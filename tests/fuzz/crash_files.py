"""Broken promises as small files: cut by the shrinking of `lprc bisect`, with inputs to replay."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx_ir as ir

from lprc.compiler.bisect.shrink import Suspect, rewritten, shrink
from lprc.core.errors import LprcError
from lprc.core.graph import editing
from lprc.core.instruments.broken_promise import write_reproducer
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.passing.contract import EXACT_TOLERANCE
from lprc.core.passing.pipeline import Pipeline

from . import edge_values
from .campaign import Finding
from .judge import Source, judge

SEEN: set[tuple[str, str]] = set()
"""The first finding of a kind is worth a file; a child forgets them with its part."""


def write(finding: Finding, folder: Path) -> Path | None:
    """Write `before.onnx`, `after.onnx`, the inputs and the pass; None if there is one like it."""
    what = re.sub(r"[\d.]+", "", finding.verdict.what)[:60]
    if (finding.pass_text, what) in SEEN:
        return None
    SEEN.add((finding.pass_text, what))
    name = re.sub(r"[^\w=-]+", "-", finding.pass_text).strip("-")
    path = folder / f"{name}-{finding.case.seed}"
    before, inputs = _smallest(finding)
    after = before
    try:
        after = rewritten(before, Pipeline.parse(finding.pass_text).passes, (), ())
    except Exception as error:  # it is what was found
        print(f"{finding.case.seed}: {type(error).__name__} {error}")
    folder.mkdir(parents=True, exist_ok=True)
    write_reproducer(path, to_bytes(before), to_bytes(after), [finding.pass_text], inputs)
    return path


def _smallest(finding: Finding):
    source = finding.source
    inputs = source.inputs.get(finding.verdict.family) or next(iter(source.inputs.values()))
    if finding.verdict.kind != "different":
        return source.model, inputs
    suspect = Suspect(
        model=source.model,
        passes=Pipeline.parse(finding.pass_text).passes,
        rewrites=(),
        keys=(),
        calibration=(),
        tolerance=EXACT_TOLERANCE,
    )

    def is_wrong(before: ir.Model, after: ir.Model) -> bool:
        return _is_wrong(before, finding.pass_text, finding.verdict.family)

    try:
        found = shrink(suspect, [inputs], is_wrong)
    except LprcError:
        return source.model, inputs
    return found.model, found.inputs or _inputs(found.model, finding.verdict.family)


def _is_wrong(model: ir.Model, pass_text: str, family: str) -> bool:
    try:
        source = Source(model, {family: _inputs(model, family)})
        verdict, _ = judge(source, pass_text)
    except Exception:
        return False
    return verdict.kind == "different"


def _inputs(model: ir.Model, family: str):
    rng = np.random.default_rng(0)
    return {
        value.name: edge_values.array(
            rng, value.dtype.numpy(), editing.static_shape(value) or (), family
        )
        for value in model.graph.inputs
    }
