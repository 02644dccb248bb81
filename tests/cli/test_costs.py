"""``--time-passes`` and ``--stats``: what each pass costs and what it makes of the graph."""

from __future__ import annotations

import json

import onnx
import pytest

from lprc.compiler.compile.optimize import optimize
from lprc.compiler.compile.settings import Observation
from lprc.compiler.measure.pass_costs import CostSettings
from lprc.compiler.measure.pass_measures import Measure
from lprc.core.errors import DataError
from lprc.core.onnx_io import model_io
from lprc.core.passing.pipeline import Pipeline
from lprc.core.process import peak_memory

PASSES = "infer-shapes,fold-bn,eliminate-identity"


def test_times(lprc, small, tmp_path):
    out = tmp_path / "o.onnx"
    found = lprc("opt", small, "--passes", PASSES, "-o", out, "--time-passes").stdout
    lines = found[found.index("of all") :].splitlines()
    assert {line.split()[0] for line in lines[1:4]} == set(PASSES.split(","))
    assert lines[4].startswith("all passes: ")
    assert "MB" in found or peak_memory.peak_bytes() is None


def test_stats(lprc, small, tmp_path):
    out = tmp_path / "o.onnx"
    found = lprc("opt", small, "--passes", PASSES, "-o", out, "--stats").stdout
    rows = {line.split()[0]: line.split() for line in found.split("\n\n")[1].splitlines()}
    assert list(rows) == ["after", "source", "infer-shapes", "fold-bn"]
    assert rows["source"][1:4] == ["3", "128", "3,888"]
    assert rows["fold-bn"][1:4] == ["2", "112", "3,888"]
    assert "error to source" in found


def test_stats_as_json_with_accuracy_and_latency(lprc, bundled, plates, tmp_path):
    done = lprc(
        "opt", bundled, "--passes", "infer-shapes,fold-bn,eliminate-identity,per-sample-mean",
        "-o", tmp_path / "o.onnx", "--stats", "--data", plates, "--bench", "--json",
    )  # fmt: skip
    costs = {row["text"]: row for row in json.loads(done.stdout)["costs"]}
    source, folded, idle = costs["source"], costs["fold-bn"], costs["per-sample-mean"]
    assert source["position"] == -1
    assert folded["statistics"]["nodes"] == source["statistics"]["nodes"] - 6
    assert folded["accuracy"] == source["accuracy"] >= 0.95
    assert folded["median_ms"] > 0
    assert folded["error_to_source"] < 1e-4
    assert (idle["changed"], idle["accuracy"], idle["median_ms"]) == (False, None, None)
    assert idle["statistics"]["nodes"] == costs["eliminate-identity"]["statistics"]["nodes"]
    assert idle["seconds"] > 0


def test_nothing_is_measured_without_being_asked(lprc, small, tmp_path):
    out = tmp_path / "o.onnx"
    done = lprc("opt", small, "--passes", PASSES, "-o", out, "--json")
    assert json.loads(done.stdout)["costs"] == []
    done = lprc("opt", small, "--passes", PASSES, "-o", out, "--bench", check=False)
    assert done.returncode == 2
    assert "without --stats" in done.stderr


def test_compile_says_it_too(lprc, small, tmp_path):
    done = lprc(
        "compile", small, "--target", "onnx", "-o", tmp_path / "out", "--stats", "--time-passes",
        "--passes", PASSES, "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert [row["text"] for row in document["costs"]] == ["source", *PASSES.split(",")]
    # Outputs are compared after each change.
    assert document["passes"][1]["outputs"]


def test_verify_off_stays_off(lprc, small, tmp_path):
    done = lprc(
        "opt", small, "--passes", PASSES, "-o", tmp_path / "o.onnx", "--stats", "--verify", "off",
        "--json",
    )  # fmt: skip
    rows = json.loads(done.stdout)["costs"]
    assert [row["error"] for row in rows] == [None] * 4
    assert rows[1]["statistics"]["macs"] == 3888


def test_a_source_that_does_not_run_has_no_measures():
    # A MaxPool with more kernel axes than the input has spatial ones.
    model = model_io.from_proto(
        onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[1,4,6,6] x) => (float[1,2,4,4] y) {
            y = MaxPool<kernel_shape = [1, 3, 3], strides = [2, 1, 1]>(x) }""")
    )
    costs = CostSettings(measure=Measure(latency=True, threads=1))
    found = optimize(model, Pipeline.parse("legalize"), observation=Observation(costs=costs))
    assert [row.text for row in found.costs] == ["source", "legalize"]
    assert found.costs[0].median_ms is None
    assert found.costs[1].median_ms > 0
    assert any("not measured: the source graph does not run" in each for each in found.warnings)


def test_plates_that_do_not_fit(small, plates):
    costs = CostSettings(measure=Measure(data=plates))
    with pytest.raises(DataError):
        optimize(
            model_io.load(small), Pipeline.parse("fold-bn"), observation=Observation(costs=costs)
        )
