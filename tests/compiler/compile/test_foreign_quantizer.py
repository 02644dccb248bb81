"""A third party's quantising pass counts as ours do: by what it says that it leaves in the graph."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.explain.explanation import explain
from lprc.compiler.measure.sensitivity import Quantizable
from lprc.core import builtin
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.onnx_io.model_io import load
from lprc.core.options import option
from lprc.core.passing.pass_order import State
from lprc.core.passing.pipeline import Pipeline
from lprc.passes.insert_qdq import InsertQDQ
from lprc.plugin import Pass, PassContext, lossy

COMPILER = Path(__file__).parents[3] / "lprc" / "compiler"

NETWORK = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,4,6,6] x) => (float[1,4,6,6] y) <float[4,4,1,1] v, float[4,4,1,1] w> {
  [first] a = Conv(x, v) [relu] b = Relu(a) [last] y = Conv(b, w) }"""


@dataclass(frozen=True)
class AcmeQuantize(Pass):
    """Insert Q/DQ as Acme does. (Its own module, its own name, no method that ours has.)"""

    name = "acme-quantize"
    contract = lossy("accuracy")
    leaves = (State.QDQ,)
    packages = ("click",)
    exclude: tuple[str, ...] = option((), "nodes to leave in float")

    def run(self, model: ir.Model, context: PassContext) -> None:
        InsertQDQ(exclude=self.exclude).run(model, context)


@dataclass(frozen=True)
class AcmeRound(Pass):
    """What only a quantiser uses."""

    name = "acme-round"
    contract = lossy("accuracy")
    leaves = (State.GRID,)

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Nothing: it stands for one that rounds."""


PIPELINE = "infer-shapes,calibrate{method=min-max},acme-round,acme-quantize"


@pytest.fixture(autouse=True)
def acme(monkeypatch):
    for kind in (AcmeQuantize, AcmeRound):
        monkeypatch.setitem(builtin.PASSES, kind.name, f"{__name__}:{kind.__name__}")


@pytest.fixture
def samples():
    generator = np.random.default_rng(0)
    return [{"x": generator.standard_normal((1, 4, 6, 6)).astype(np.float32)} for _ in range(8)]


@pytest.fixture
def source(tmp_path):
    model = onnx.parser.parse_model(NETWORK)
    generator = np.random.default_rng(1)
    del model.graph.initializer[:]
    for name in "vw":
        array = generator.standard_normal((4, 4, 1, 1)).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def compiled(source, out, samples, pipeline=PIPELINE, **asked):
    return compile_model(
        compile_request(source, "onnx-qdq", out, passes=pipeline, calibration=samples, **asked)
    )


def test_a_quantised_model_is_refused_or_kept(source, tmp_path, samples):
    compiled(source, tmp_path / "once", samples)
    quantised = tmp_path / "once" / "lowered.onnx"
    with pytest.raises(InvalidModelError, match="quantised already: QDQ"):
        compiled(quantised, tmp_path / "twice", samples)
    kept = compiled(quantised, tmp_path / "kept", samples, quantized="keep")
    assert kept.optimized.pipeline == "infer-shapes"


def test_the_manifest_has_the_packages_that_it_names(source, tmp_path, samples):
    manifest = compiled(source, tmp_path / "out", samples).artifact.manifest
    assert manifest["tools"]["click"] == version("click")
    plain = compiled(source, tmp_path / "plain", samples, "infer-shapes").artifact.manifest
    assert "click" not in plain["tools"]


def test_its_layers_are_ranked_and_left_in_float(source, samples):
    graph = Quantizable(load(source), Pipeline.parse(PIPELINE), samples)
    ours = Quantizable(
        load(source), Pipeline.parse(PIPELINE.replace("acme-quantize", "insert-qdq")), samples
    )
    names = [node.name for node in graph.layers()]
    assert names == [node.name for node in ours.layers()] != []
    assert str(graph.pipeline(names[:1])).endswith(f"acme-quantize{{exclude={names[0]}}}")


def test_a_search_says_which_pass_to_give_the_layers(source, tmp_path, samples):
    found = compiled(source, tmp_path / "out", samples, max_accuracy_drop=1.0)
    assert found.search.excluded == ()
    assert found.optimized.pipeline == PIPELINE


def test_why_a_node_is_in_float(source, tmp_path, samples):
    text = PIPELINE.replace("acme-quantize", "acme-quantize{exclude=first}")
    compiled(source, tmp_path / "out", samples, text)
    (node,) = explain(tmp_path / "out", "first").nodes
    assert node.why_float == "acme-quantize: excluded"


def test_a_log_of_a_pass_that_is_no_more(source, tmp_path, samples, monkeypatch):
    compiled(source, tmp_path / "out", samples, PIPELINE.removesuffix(",acme-quantize"))
    monkeypatch.delitem(builtin.PASSES, "acme-round")
    path = tmp_path / "out" / "manifest.json"
    assert "acme-round" in json.loads(path.read_text())["pipeline"]
    (node,) = explain(tmp_path / "out", "first").nodes
    assert node.why_float == "no pass of the pipeline quantises"


@dataclass(frozen=True)
class Stubborn(AcmeQuantize):
    """A quantiser without the option."""

    name = "acme-stubborn"
    exclude: str = option("", "no list of nodes")  # type: ignore[assignment]


def test_a_quantiser_that_leaves_nothing_out_is_refused(source, samples):
    pipeline = Pipeline((*Pipeline.parse("infer-shapes,calibrate").passes, Stubborn()))
    with pytest.raises(UsageError, match="acme-stubborn has no option 'exclude'"):
        Quantizable(load(source), pipeline, samples)
    both = Pipeline((*pipeline.passes, AcmeQuantize()))
    assert (
        replace(AcmeQuantize(), exclude=("a",))
        in Quantizable(load(source), both, samples).pipeline(["a"]).passes
    )


TOOLS = {
    "training/finetune.py": "set-batch",
    "compile/input_shapes.py": "set-input-shape",
}
"""Where the compiler uses a pass as its tool, whatever pipeline the user has."""


def test_no_pass_is_named_in_the_compiler():
    """Docstrings and advice may name passes; what the compiler does never depends on a name."""
    named = set()
    for path in COMPILER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                name = node.value.strip().partition("{")[0]
                if name in builtin.PASSES:
                    named.add((str(path.relative_to(COMPILER)), name))
    assert named == set(TOOLS.items())
