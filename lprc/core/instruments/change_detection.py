"""Whether passes tell the truth about having changed something (after LLVM's test-changed)."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.errors import LprcError
from lprc.core.graph.printer import model_hash
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass


class UntruthfulPassError(LprcError):
    """A pass that changed the model and said that it did not: a bug in the pass."""

    exit_code = 70


class ChangeDetection(Instrument):
    """Compares the model's hash around each pass with what the pass says."""

    def __init__(self) -> None:
        self._before = ""

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Hash the model."""
        self._before = model_hash(model)

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Hash it again.

        Raises:
            UntruthfulPassError: The hash moved and the pass announced no rewrite, or it did not
                move and the pass announced one.
        """
        changed = model_hash(model) != self._before
        if changed != record.changed:
            said = f"announced {len(record.rewrites)} rewrites"
            did = "changed the model" if changed else "changed nothing"
            raise UntruthfulPassError(
                f"{said} and {did}", where=f"pass '{record.text}'", hint="report it: it is a bug"
            )
