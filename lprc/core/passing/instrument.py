"""The base of all instruments (after LLVM's PassInstrumentation)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx_ir as ir

if TYPE_CHECKING:
    from lprc.core.passing.manager import PassRecord
    from lprc.core.passing.pass_base import Pass
    from lprc.core.passing.pipeline import Pipeline


class Instrument:
    """Looks at a model around each pass; never changes it. Every method may be left as it is."""

    def reads(self, item: Pass) -> bool:
        """Whether it looks at the model around `item`; where not, that may be an earlier one."""
        return True

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Called once, before the first pass."""

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Called before the pass at `position` runs."""

    def during_pass(self, position: int, done: int, total: int) -> None:
        """Called by a pass that takes long, with the steps that it has done and their number."""

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Called after each pass, whether it changed something or not."""

    def finish(self, model: ir.Model, records: list[PassRecord]) -> None:
        """Called once, after the last pass; not when one failed."""
