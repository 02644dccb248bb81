"""The report's parts, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from report_graphs import HOSTILE, findings, hostile, residual_chain

from lprc.compiler.measure.bench import BenchRow
from lprc.compiler.measure.evaluation import Evaluation, Wrong
from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.measure.sensitivity import LayerSensitivity
from lprc.compiler.report.charts import charts
from lprc.compiler.report.graphs import GraphTable, Strings
from lprc.compiler.report.layers import precision
from lprc.compiler.report.page import report_page, write_report
from lprc.compiler.report.passes import pass_table
from lprc.compiler.report.task_details import detail_rows
from lprc.compiler.report.units import count_text, seconds_text, size_text
from lprc.compiler.report.wrong_samples import wrong_samples
from lprc.core.errors import DataError, OutputError
from lprc.core.graph_diff.outline import outline
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.tasks.score import Score
from lprc.core.tasks.task_file import task_choice, task_from_table

PIPELINE = "infer-shapes,fold-bn,eliminate-identity"


@pytest.fixture(scope="module")
def found():
    return findings(residual_chain(50), PIPELINE)


@pytest.fixture(scope="module")
def page(found):
    return report_page(found)


def data_of(page):
    return json.loads(re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)[1])


def _ratio(value):
    return PairedRatio(value, value, value, 20)


class Measured:
    def __init__(self, name, size_bytes, wrong=None, median=None):
        self.name, self.size_bytes = name, size_bytes
        self.evaluation = None if wrong is None else evaluation(*wrong)
        self.latency = (
            None
            if median is None
            else BenchRow(
                name, "ort", median, median * 1.5, median, _ratio(median / 2.0), size_bytes
            )
        )


def evaluation(*wrong, total=10, folder=Path()):
    """Plates of which some were misread: (file, label, what was read)."""
    task = task_choice("synthetic").task
    records = [np.zeros(1)] * len(wrong) + [np.ones(1)] * (total - len(wrong))
    misread = tuple(Wrong(folder / file, label, read, 0.0, read) for file, label, read in wrong)
    return Evaluation("a", Score(task, tuple(records)), misread)


# Graphs


def test_snapshots_are_differences_that_give_every_graph_again(found):
    table = GraphTable(Strings())
    bodies = [outline(step.model).graph for step in found.steps]
    ids = [table.add(body) for body in bodies]
    present = set()
    for graph, numbers in zip(table.graphs, ids, strict=True):
        present = present.difference(graph["removed"]) | set(graph["added"])
        assert present == set(numbers.values())
    assert len(table.nodes) < sum(len(body.nodes) for body in bodies)
    name, operator, *_ = table.nodes[0]
    assert (table.strings.texts[name], table.strings.texts[operator]) == (
        "stage.0/block.0/Conv",
        "Conv",
    )


def test_pairs_name_what_was_added_removed_and_changed(page):
    data = data_of(page)
    text = data["strings"]
    name = {number: text[row[0]] for number, row in enumerate(data["nodes"])}
    whole, *passes = data["pairs"]
    assert [text[each["label"]] for each in data["pairs"]] == [
        "all passes",
        "pass 1: infer-shapes",
        "pass 2: fold-bn",
        "pass 3: eliminate-identity",
    ]
    assert {name[number].rpartition("/")[2] for number in whole["removed"]} == {
        "BatchNormalization",
        "Identity",
    }
    assert not whole["added"]
    # That a type became known is no change.
    assert not passes[0]["changed"]
    assert passes[0]["moved"]
    notes = {name[right]: text[note] for _, right, note in passes[1]["changed"]}
    assert "weight 1: " in notes["stage.0/block.0/Conv"]
    assert notes["stage.0/block.0/Relu"] == "input 0: BatchNormalization b0_1 → Conv b0_0"
    assert not any(each["added"] for each in passes)


def test_values_that_subgraphs_capture_are_edges():
    proto = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> g (bool c, float[2] x) => (float[2] y) {'
        "a = Relu(x)"
        "y = If(c) <then_branch = t () => (float[2] p) { p = Neg(a) },"
        " else_branch = e () => (float[2] q) { q = Abs(a) }> }"
    )
    table = GraphTable(Strings())
    table.add(outline(from_proto(proto)).graph)
    text = table.strings.texts
    chosen = next(row for row in table.nodes if text[row[1]] == "If")
    assert [text[number] for number in chosen[3]] == ["c", "a"]
    assert "then_branch=graph of 1" in text[chosen[2]]


# Safety


def test_names_can_not_become_markup():
    page = report_page(findings(hostile(), "eliminate-identity", source=HOSTILE, target=HOSTILE))
    assert "<img src=x" not in page
    block = re.search(r'id="report-data">(.*?)</script>', page, re.DOTALL)[1]
    assert "<" not in block
    assert any(HOSTILE in text for text in data_of(page)["strings"])


def test_the_policy_allows_this_script_and_style_and_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_nothing_is_loaded(page):
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert not re.search(r"@import|url\(|fetch\(|innerHTML|insertAdjacentHTML|\beval\b", page)
    assert re.findall(r"https?://[^\"']*", page) == ["http://www.w3.org/2000/svg"]


def test_the_same_findings_give_the_same_page(found, page):
    assert report_page(found) == page


def test_a_page_that_can_not_be_written_is_an_error(found, tmp_path):
    with pytest.raises(OutputError, match="can't be written"):
        write_report(found, tmp_path / "no" / "report.html")
    write_report(found, tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


# Tables


def test_passes_have_what_they_changed_beside_the_number(found):
    table = pass_table(found)
    assert table.columns == ("nodes", "parameters", "MACs", "weights", "peak activations")
    assert [row.pair for row in table.rows] == [1, 2, 3]
    nodes = [row.cells[0] for row in table.rows]
    assert [(cell.text, cell.moved) for cell in nodes] == [("51", ""), ("41", "−10"), ("31", "−10")]
    assert (table.source[0].text, table.lowered[0].text, table.lowered[0].moved) == (
        "51", "31", "−20",
    )  # fmt: skip
    assert all(row.length >= 3 for row in table.rows)


def test_a_pass_that_changed_nothing_has_no_pair_of_graphs():
    table = pass_table(findings(residual_chain(10), "pow-to-mul,fold-bn"))
    assert [(row.pair, bool(row.cells)) for row in table.rows] == [(None, False), (1, True)]


PRECISIONS = """<ir_version: 10, opset_import: ["" : 21]>
g (float[1,2,4,4] x) => (float[1,2,4,4] c, float[1,2,4,4] d, float[1,2,4,4] r)
<float[2,2,1,1] w = {1,2,3,4}, int8[2,2,1,1] wq = {1,2,3,4}, float s = {1}, uint8 z = {0}> {
    q = QuantizeLinear(x, s, z)
    dq = DequantizeLinear(q, s, z)
    p = MaxPool<kernel_shape=[1,1]>(dq)
    wd = DequantizeLinear(wq, s)
    c = Conv(p, wd)
    d = Conv(x, wd)
    r = Conv(x, w)
}"""


def test_precision_looks_through_pairs_and_what_moves_elements():
    model = from_proto(onnx.parser.parse_model(PRECISIONS))
    found = [precision(node) for node in model.graph if node.op_type in ("Conv", "MaxPool")]
    assert found == ["uint8", "uint8 × int8", "float × int8", "float"]


def test_layers_have_sensitivity_only_where_it_was_measured(page):
    def titles(text):
        section = text[text.index('id="layers"') :]
        return re.findall(r'<th scope="col"[^>]*><button type="button">(.*?)<', section)

    assert "SNR in int8 alone (dB)" not in titles(page)
    layer = LayerSensitivity("stage.0/block.0/Conv", "Conv", (), 41.25)
    other = report_page(findings(residual_chain(50), PIPELINE, sensitivity=(layer,)))
    assert "SNR in int8 alone (dB)" in titles(other)
    assert 41.2 in data_of(other)["layers"][0]


# Charts and plates


def test_charts_show_what_was_measured_of_all():
    rows = [Measured("dir/a.onnx", 2000, [], 2.0), Measured("b", 500, [("1", "A", "B")], 1.0)]
    accuracy, latency, size = charts(rows)
    assert [bar.text for bar in accuracy.bars] == ["1.0000", "0.9000"]
    assert accuracy.bars[1].ratio == "-0.1000"
    assert (latency.bars[1].ratio, size.bars[1].ratio) == ("0.50×", "0.25×")
    assert [bar.length for bar in size.bars] == [320.0, 80.0]
    assert "a.onnx: 2 kB; b: 500 B, 0.25×" in size.description
    assert [chart.title for chart in charts([Measured("a", 1), Measured("b", 1, [])])] == ["Size"]
    assert charts([]) == []


@pytest.fixture
def folder(tmp_path):
    for name in ("1.png", "2.png", "3.png"):
        Image.new("RGB", (8, 4), (200, 10, 10)).save(tmp_path / name)
    return tmp_path


def test_plates_that_were_lost_come_first(folder):
    before = evaluation(("2.png", "BB", "B"), ("3.png", "CC", "C"), folder=folder)
    after = evaluation(("1.png", "AA", "A"), ("2.png", "BB", ""), folder=folder)
    plates, count = wrong_samples(before, after)
    told = [(plate.verdict, plate.label, plate.float32, plate.artefact) for plate in plates]
    assert told == [
        ("lost", "AA", "AA", "A"),
        ("both wrong", "BB", "B", ""),
        ("gained", "CC", "C", "CC"),
    ]
    assert count == 3
    assert plates[0].picture.startswith("data:image/png;base64,")
    assert (plates[0].width, plates[0].height) == (8, 4)


def test_plates_without_a_baseline_have_one_reading(folder):
    plates, _ = wrong_samples(None, evaluation(("1.png", "AA", "A"), folder=folder))
    assert [(plate.float32, plate.artefact) for plate in plates] == [(None, "A")]


def test_large_pictures_are_made_smaller(folder):
    Image.new("RGB", (1000, 500)).save(folder / "1.png")
    plates, _ = wrong_samples(None, evaluation(("1.png", "AA", "A"), folder=folder))
    assert (plates[0].width, plates[0].height) == (376, 188)


def test_a_picture_that_is_gone_is_named(folder):
    (folder / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png"):
        wrong_samples(None, evaluation(("1.png", "AA", "A"), folder=folder))


def test_the_page_shows_plates_with_both_readings(folder):
    rows = [
        Measured("m.onnx", 2000, []),
        Measured("out", 500, [(str(folder / "1.png"), HOSTILE, "A")]),
    ]
    page = report_page(findings(residual_chain(10), "fold-bn", measurements=rows))
    assert "1 of 10 plates were not answered perfectly" in page
    assert page.count("<img ") == 1
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page


def test_the_page_says_how_well_both_do_their_task(folder):
    rows = [Measured("m.onnx", 2000, []), Measured("out", 500, [(str(folder / "1.png"), "A", "B")])]
    page = report_page(findings(residual_chain(10), "fold-bn", measurements=rows))
    assert "How well it does its task" in page
    assert "1.0000 (0.7225 to 1.0000)" in page
    assert "0.9000 (0.5958 to 0.9821)" in page


def test_figures_of_classes_and_what_was_confused():
    classes = {
        "input": {"width": 4, "height": 4, "color": "RGB"},
        "output": {"classes": ["a", "b"]},
    }
    task = task_from_table({"task": "classification", **classes}, "t", "t.toml")
    records = (np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 0, 1]))
    rows = detail_rows(None, Evaluation("m", Score(task, records), ()))
    assert [(row.name, row.float32, row.artefact) for row in rows[1:]] == [
        ("top5", None, "1.0000"), ("a taken for b", None, "1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (size_text(999), "999 B"), (size_text(1_710_000), "1.71 MB"), (count_text(9999), "9,999"),
        (count_text(144_400_000), "144.4 M"), (seconds_text(0.0024), "2.4 ms"),
        (seconds_text(1.64), "1.64 s"),
    ],
)  # fmt: skip
def test_numbers_are_short(text, expected):
    assert text == expected
