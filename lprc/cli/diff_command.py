"""``lprc diff``: what differs between two models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import (
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    verbose_option,
)
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.core.errors import LprcError, UsageError

if TYPE_CHECKING:
    import onnx_ir as ir

    from lprc.core.graph_diff.result import GraphDifference

DIFFERENT = 1


class ComparisonError(LprcError):
    """Models that can't be compared: trouble has one exit code, as in diff(1)."""

    exit_code = 2


@click.command("diff")
@click.argument("before", metavar="A", type=PathArgument)
@click.argument("after", metavar="B", type=PathArgument)
@click.option("--summary", is_flag=True, help="Print counts by operator only.")
@click.option("--html", type=OutputArgument, metavar="FILE", help="Write one HTML page too.")
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    before: Path,
    after: Path,
    summary: bool,
    html: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Show what differs between the models A and B, however nodes are named and ordered.

    A and B are ONNX files or folders of `lprc compile`, of which the lowered ONNX counts. Other
    names inside are shown but are no difference. -v prints every single difference, -q nothing.

    Exit codes: 0 the same, 1 different, 2 any error.
    """
    if summary + as_json + quiet + verbose > 1:
        raise UsageError(
            "these exclude each other", where="--summary, --json, -q and -v", hint="give one"
        )
    try:
        check_outputs()
        difference = _difference(before, after)
        if html is not None:
            _write_html(difference, html, (str(before), str(after)))
    except LprcError as error:
        raise ComparisonError(error.message, where=error.where, hint=error.hint) from error
    if as_json:
        from lprc.core.graph_diff.text import document

        console.print_json({"before": str(before), "after": str(after), **document(difference)})
    elif not quiet:
        _print(difference, before, after, summary=summary, verbose=verbose)
    return 0 if difference.same else DIFFERENT


def _difference(before: Path, after: Path) -> GraphDifference:
    from lprc.core.graph_diff.compare import diff_models

    return diff_models(_load(before), _load(after))


def _load(path: Path) -> ir.Model:
    """A model file, or an artefact's lowered graph."""
    from lprc.compiler.artifact.artifact import LOWERED, open_artifact
    from lprc.core.onnx_io.model_io import load

    if path.is_dir():
        open_artifact(path)  # says what is wrong with a folder that is none
        path = path / LOWERED
    return load(path)


def _write_html(difference: GraphDifference, path: Path, names: tuple[str, str]) -> None:
    from lprc.core.files.atomic import atomic_file
    from lprc.core.graph_diff.html import html_page

    with atomic_file(path) as temporary:
        temporary.write_text(html_page(difference, *names), encoding="utf-8")


def _print(
    difference: GraphDifference, before: Path, after: Path, *, summary: bool, verbose: bool
) -> None:
    from lprc.cli.printing import line_writer
    from lprc.core.graph_diff.text import SCREEN, Line, summary_lines, unified_lines

    write = line_writer()
    if summary:
        lines = summary_lines(difference)
    else:
        write(Line("-", f"--- {before}"))
        write(Line("+", f"+++ {after}"))
        lines = unified_lines(difference, limit=None if verbose else SCREEN)
    for line in lines:
        write(line)
