"""A page for each pass: its contract, its options, and a graph of its cases before and after."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import onnx_ir as ir
from pass_cases import CASES, Case, calibration, model_of, read

from lprc.core.graph.printer import model_text
from lprc.core.options import option_infos
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_registry import pass_class, pass_names
from lprc.core.passing.pipeline import Pipeline
from reference.drawing import svg
from reference.markdown import code, fenced, folded, plain, table

ROOT = Path(__file__).parents[2]


def pages() -> dict[str, str]:
    """The pages by their paths."""
    families = _families()
    rows = []
    documents = {}
    for name in pass_names():
        kind = pass_class(name)
        summary = (inspect.getdoc(kind) or "").partition("\n")[0]
        rows.append([f"[`{name}`]({name}.md)", str(kind.contract), plain(summary)])
        documents[f"reference/passes/{name}.md"] = _page(name, kind, families.get(name, ""))
    documents["reference/passes/index.md"] = (
        "# Passes\n\nThe [families](../../passes/README.md) say how they work together; "
        "a [contract](../../concepts.md#contract) is what a pass promises.\n\n"
        + table(["pass", "contract", "what it does"], rows)
    )
    return documents


def _families() -> dict[str, str]:
    """For each pass the page of its family, read from the table of families."""
    found = {}
    for line in (ROOT / "docs" / "passes" / "README.md").read_text().splitlines():
        family = re.match(r"\| \[.+?\]\((.+?)\) \|", line)
        if family is not None:
            found.update(dict.fromkeys(re.findall(r"`([\w-]+)`", line), family[1]))
    return found


def _page(name: str, kind: type[Pass], family: str) -> str:
    options = [
        [code(info.name), code(info.type), code(info.default or "") or "required", plain(info.help)]
        for info in option_infos(kind)
    ]
    facts = [f"**Contract:** {kind.contract}."]
    if kind.reads_calibration:
        facts.append("It reads calibration samples.")
    if kind.changes_interface:
        facts.append("It changes what the graph takes or puts out.")
    if kind.provable:
        facts.append("[Each of its rewrites can be proved](../../proof.md).")
    if family:
        facts.append(f"[Its family](../../passes/{family}).")
    listed = table(["option", "type", "default", "what it does"], options) if options else "None.\n"
    return (
        f"# `{name}`\n\n{' '.join(facts)}\n\n{inspect.getdoc(kind)}\n\n## Options\n\n{listed}\n"
        f"{_example(name)}"
    )


def _example(name: str) -> str:
    """The smallest case that the pass changes, drawn; where it has none, nothing."""
    for path in sorted(CASES.glob(f"{name}/*.txt"), key=lambda path: (path.stat().st_size, path)):
        case = read(path)
        before, after = model_of(case), model_of(case)
        records = PassManager(
            Pipeline.parse(case.passes), calibration=calibration(case, after)
        ).run(after)
        if any(record.name == name and record.changed for record in records):
            return _drawn(path, case, before, after)
    return ""


def _drawn(path: Path, case: Case, before: ir.Model, after: ir.Model) -> str:
    figures = "".join(
        f"<figure><figcaption>{when}</figcaption>{svg(model, f'the graph {when}')}</figure>"
        for when, model in (("before", before), ("after", after))
    )
    texts = fenced("text", model_text(before)) + "\n" + fenced("text", model_text(after))
    return (
        f"## Example\n\n`{path.relative_to(ROOT).as_posix()}`, with the pipeline "
        f"`{case.passes}`:\n\n"
        f'<div class="before-after">{figures}</div>\n\n'
        + folded("As text, with weights and attributes", texts)
    )
