"""Passes on graphs in files: ``cases/PASS/CASE.txt``.

A case is a header, a graph, and what becomes of it::

    # passes: infer-shapes,fold-bn{option=1}
    # batch: 3                                  (optional: the size of symbolic batches)
    # ranges: %x [0, 6], %y [-1, 1]             (optional: as calibrate records them)
    # calibration: 8 samples                    (optional: standard normal, for data-driven passes)
    <ir_version: 9, opset_import: ["" : 20]>
    g (float[N,2] x) => (float[N,2] y) { y = Identity(x) }
    # output
    the printer's text
    # skips                                     (optional)
    node: reason

Besides the text, every changed graph is checked by onnx.checker and run in ONNX Runtime against
the one before it. ``pytest tests/passes --regenerate`` writes what stands below ``# output``.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from pass_cases import FILES, Case, calibration, model_of, read

from lprc.core.errors import PromiseBrokenError
from lprc.core.graph.printer import model_text
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.random_inputs import random_inputs


class Check(Instrument):
    """Every graph on the way is valid ONNX, shapes included."""

    def after_pass(self, model, item, record):
        onnx.checker.check_model(model_io.to_proto(model), full_check=True)


def run_case(case: Case) -> str:
    model = model_of(case)
    verify = Verify("each", inputs=[random_inputs(model, seed=1, batch=case.batch)])
    pipeline = Pipeline.parse(case.passes)
    instruments = [ChangeDetection(), Check(), verify]
    records = PassManager(pipeline, instruments, calibration=calibration(case, model)).run(model)
    assert not verify.warnings
    skips = [f"{skip.node}: {skip.reason}" for record in records for skip in record.skips]
    return model_text(model).strip() + "".join(["\n# skips\n", "\n".join(skips)] if skips else [])


@pytest.mark.parametrize("path", FILES, ids=[f"{p.parent.name}/{p.stem}" for p in FILES])
def test_case(path: Path, regenerate: bool) -> None:
    case = read(path)
    actual = run_case(case)
    if regenerate:
        path.write_text(f"{case.header.rstrip()}\n# output\n{actual}\n", encoding="utf-8")
        return
    assert actual == case.expected, "if this is right: pytest tests/passes --regenerate"


IDENTITY = """\
# passes: eliminate-identity
<ir_version: 9, opset_import: ["" : 20]>
g (float[N,2] x) => (float[N,2] y) { [one] a = Identity(x) [two] y = Relu(a) }
"""


def test_a_case_is_regenerated_and_read_back(tmp_path):
    path = tmp_path / "case.txt"
    path.write_text(IDENTITY)
    test_case(path, regenerate=True)
    assert path.read_text() == IDENTITY + (
        "# output\n"
        "opset onnx 20\n"
        "graph (%x: f32[N,2]) -> (%y: f32[N,2])\n"
        "  %y: f32[N,2] = Relu(%x)\n"
    )
    test_case(path, regenerate=False)


def test_a_case_with_other_text_fails(tmp_path):
    path = tmp_path / "case.txt"
    path.write_text(IDENTITY + "# output\nopset onnx 20\n")
    with pytest.raises(AssertionError, match="regenerate"):
        test_case(path, regenerate=False)


def test_a_case_whose_pass_lies_fails(tmp_path, monkeypatch):
    from lprc.passes.eliminate_identity import EliminateIdentity

    def wrong(self, model: ir.Model, context) -> None:
        node = model.graph[1]
        if context.rewrite(node, "broken"):
            node.op_type = "Neg"

    monkeypatch.setattr(EliminateIdentity, "run", wrong)
    path = tmp_path / "case.txt"
    path.write_text(IDENTITY)
    with pytest.raises(PromiseBrokenError, match="eliminate-identity"):
        test_case(path, regenerate=True)
    assert path.read_text() == IDENTITY
