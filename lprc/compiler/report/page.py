"""The page of a compile.

Names come from other people's models. The template escapes them; the script reads them from a JSON
block in which ``<`` is escaped, and puts them on the page as text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lprc.compiler.report.changes import changes
from lprc.compiler.report.charts import WIDTH as BARS
from lprc.compiler.report.charts import charts
from lprc.compiler.report.environment import environment
from lprc.compiler.report.findings import Findings
from lprc.compiler.report.graphs import GraphTable, Strings
from lprc.compiler.report.history import Step
from lprc.compiler.report.layers import LayerTable, layer_table
from lprc.compiler.report.passes import WIDTH as TIMELINE
from lprc.compiler.report.passes import pass_table
from lprc.compiler.report.scaffold import asset, render
from lprc.compiler.report.task_details import DetailRow, detail_rows
from lprc.compiler.report.wrong_samples import SamplePicture, wrong_samples
from lprc.core.files.atomic import atomic_file
from lprc.core.graph_diff.outline import ModelOutline, outline

_PACKAGE = "lprc.compiler.report"
SCRIPTS = (
    "document.js", "layers.js", "layout.js", "shapes.js", "view.js", "controls.js", "compare.js",
    "search.js", "table.js", "main.js",
)  # fmt: skip
"""In the order in which they need each other."""


def write_report(findings: Findings, path: Path) -> None:
    """Write the report to `path`; it appears whole or not at all.

    Raises:
        OutputError: It can't be written.
        DataError: A sample's picture can't be read.
    """
    page = report_page(findings)
    with atomic_file(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def report_page(findings: Findings) -> str:
    """The report as HTML. Equal findings give equal text, but for what `environment` says.

    Raises:
        DataError: A sample's picture can't be read.
    """
    from markupsafe import Markup

    strings = Strings()
    layers = layer_table(findings, strings)
    scripts = "\n".join(asset(_PACKAGE, name) for name in SCRIPTS)
    return render(
        _PACKAGE,
        "page.html.j2",
        "page.css",
        f"(() => {{\n'use strict';\n{scripts}}})();\n",
        **_sections(findings),
        columns=layers.columns,
        data=Markup(_json(_data(findings, layers, strings))),  # noqa: S704 - escaped by _json
    )


def _json(document: Any) -> str:
    """JSON that can't end the element that it stands in, nor begin a comment there."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _sections(findings: Findings) -> dict[str, Any]:
    first, last = (
        (findings.measurements[0], findings.measurements[-1])
        if findings.measurements
        else (None, None)
    )
    pictures: list[SamplePicture] = []
    details: list[DetailRow] = []
    wrong, samples = 0, ""
    if last is not None and last.evaluation is not None:
        baseline = first.evaluation if first is not None and first is not last else None
        samples = last.evaluation.task.samples
        pictures, wrong = wrong_samples(baseline, last.evaluation)
        details = detail_rows(baseline, last.evaluation)
    return {
        "source": findings.source,
        "target": findings.target,
        "pipeline": findings.optimized.pipeline,
        "warnings": findings.manifest.get("warnings", []),
        "passes": pass_table(findings),
        "timeline_width": TIMELINE,
        "charts": charts(findings.measurements),
        "chart_width": BARS,
        "pictures": pictures,
        "details": details,
        "samples": samples,
        "total": 0 if last is None or last.evaluation is None else last.evaluation.total,
        "wrong": wrong,
        "has_sensitivity": bool(findings.sensitivity),
        "environment": environment(findings.manifest),
        "manifest": json.dumps(findings.manifest, indent=2, ensure_ascii=False),
    }


def _behind(step: Step) -> str:
    return step.label if step.position is None else f"after {step.label}"


def _graphs(findings: Findings, strings: Strings) -> dict[str, Any]:
    """All graphs, and the pairs of them that can be compared; the whole pipeline comes first."""
    table = GraphTable(strings)
    outlines: list[ModelOutline] = []
    for step in findings.steps:
        outlines.append(outline(step.model, previous=outlines[-1] if outlines else None))
    ids = [table.add(model_outline.graph) for model_outline in outlines]
    last = len(outlines) - 1
    pairs: list[dict[str, Any]] = []
    for left, right in [(0, last), *((at - 1, at) for at in range(1, last + 1))]:
        step = findings.steps[right]
        label, titles = "all passes", ("source", "lowered")
        if pairs:
            label = f"pass {(step.position or 0) + 1}: {step.label}"
            titles = _behind(findings.steps[left]), _behind(step)
        changed = changes(
            outlines[left], outlines[right], (ids[left], ids[right]), strings, ranges=bool(pairs)
        )
        described = {"label": strings.number(label), "titles": strings.numbers(titles)}
        pairs.append({**described, "left": left, "right": right, **changed})
    return {"nodes": table.nodes, "graphs": table.graphs, "pairs": pairs}


def _events(findings: Findings, strings: Strings) -> list[list[int]]:
    """What passes did to nodes and what they left alone: ``[pass, node, left alone, note]``."""
    number = strings.number
    events = []
    for record in findings.optimized.records:
        said = [
            *((rewrite.node, 0, rewrite.note) for rewrite in record.rewrites),
            *((left.node, 1, left.reason) for left in record.skips),
        ]
        events += [
            [record.position, number(node), skip, number(note)] for node, skip, note in said if node
        ]
    return events


def _data(findings: Findings, layers: LayerTable, strings: Strings) -> dict[str, Any]:
    """What the script reads."""
    return {
        **_graphs(findings, strings),
        "events": _events(findings, strings),
        "passes": strings.numbers(record.name for record in findings.optimized.records),
        "layers": layers.rows,
        "strings": strings.texts,
    }
