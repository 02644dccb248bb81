"""What each pass changed, and the model around chosen passes, as text (after LLVM's printing)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph.printer import model_text
from lprc.core.graph_diff.compare import diff_outlines
from lprc.core.graph_diff.outline import ModelOutline, outline
from lprc.core.graph_diff.result import GraphDifference
from lprc.core.graph_diff.text import Line, summary_lines, unified_lines
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_registry import pass_class
from lprc.core.passing.pipeline import Pipeline, pass_text

ChangedMode = Literal["diff", "quiet", "summary"]


@dataclass(frozen=True)
class Printing:
    """What to print around passes.

    Attributes:
        write: Takes each line.
        changed: ``diff`` prints what each pass changed, and one line for a pass that changed
            nothing; ``quiet`` leaves those lines out; ``summary`` prints counts only.
        before: Passes to print the model before.
        after: Passes to print the model after.
    """

    write: Callable[[Line], None]
    changed: ChangedMode | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class PrintChanges(Instrument):
    """Prints what `printing` asks for; nothing is kept of the model unless changes are printed."""

    def __init__(self, printing: Printing) -> None:
        self._printing = printing
        self._outline: ModelOutline | None = None

    def reads(self, item: Pass) -> bool:
        """Any pass where changes are printed, else those that the model is printed around."""
        named = (*self._printing.before, *self._printing.after)
        return self._printing.changed is not None or item.name in named

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Outline the source.

        Raises:
            UsageError: No such pass, or none in the pipeline.
        """
        check_names(self._printing, pipeline)
        if self._printing.changed is not None:
            self._outline = outline(model)

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Print the model, if it was asked for before this pass."""
        if item.name in self._printing.before:
            self._print_model(model, f"model before {_title(position, pass_text(item))}")

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Print what changed, and the model, if they were asked for after this pass."""
        title = _title(record.position, record.text)
        if self._outline is not None:
            if record.changed:
                now = outline(model, previous=self._outline)
                self._print_difference(diff_outlines(self._outline, now), title)
                self._outline = now
            elif self._printing.changed != "quiet":
                self._write(f"*** {title}: no change ***")
        if item.name in self._printing.after:
            self._print_model(model, f"model after {title}")

    def _print_difference(self, difference: GraphDifference, title: str) -> None:
        self._write(f"*** {title} ***")
        lines = summary_lines if self._printing.changed == "summary" else unified_lines
        for line in lines(difference):
            self._printing.write(line)

    def _print_model(self, model: ir.Model, title: str) -> None:
        self._write(f"*** {title} ***")
        for line in model_text(model, show_origins=True).splitlines():
            self._write(line)

    def _write(self, text: str) -> None:
        self._printing.write(Line("", text))


def check_names(printing: Printing, pipeline: Pipeline) -> None:
    """Refuse names of passes that would never be printed.

    Raises:
        UsageError: No such pass, or none in the pipeline.
    """
    names_in_pipeline = {item.name for item in pipeline.passes}
    for where, names in (("--print-before", printing.before), ("--print-after", printing.after)):
        for name in names:
            if name in names_in_pipeline:
                continue
            try:
                pass_class(name)
            except UsageError as error:
                raise UsageError(error.message, where=where, hint=error.hint) from error
            raise UsageError(
                f"pass '{name}' is not in the pipeline",
                where=where,
                hint=f"one of {', '.join(sorted(names_in_pipeline))}"
                if names_in_pipeline
                else "the pipeline is empty",
            )


def _title(position: int, text: str) -> str:
    return f"{position + 1} {text}"
