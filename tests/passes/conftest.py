from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph import editing, provenance
from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.running.numerics import compare, rounding, run
from lprc.core.running.random_inputs import random_inputs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regenerate", action="store_true", help="write the cases' expected text")


@pytest.fixture
def regenerate(request: pytest.FixtureRequest) -> bool:
    # Not known where pytest was started above this folder.
    return bool(request.config.getoption("--regenerate", default=False))


@dataclass
class Rewritten:
    before: ir.Model
    model: ir.Model
    context: PassContext

    @property
    def ops(self) -> list[str]:
        return [node.op_type for node in self.model.graph]

    @property
    def reasons(self) -> list[str]:
        return [skip.reason for skip in self.context.skips]

    def node(self, op_type: str) -> ir.Node:
        (found,) = [node for node in self.model.graph if node.op_type == op_type]
        return found


def infer(model: ir.Model) -> ir.Model:
    inferred = onnx.shape_inference.infer_shapes(ir.to_proto(model))
    return ir.from_proto(inferred)


def apply_pass(model: ir.Model, item: Pass, *, limit: int | None = None) -> PassContext:
    context = PassContext(rewrite_limit=limit)
    provenance.stamp(model)
    editing.share_names(model)
    item.run(model, context)
    return context


@pytest.fixture
def rewrite() -> Callable[..., Rewritten]:
    """Run a pass on ONNX text; the outputs in ONNX Runtime must stay, and so must "unchanged"."""

    def rewrite(
        text: str | ir.Model, item: Pass, *, batch: int = 2, runs: bool = True
    ) -> Rewritten:
        source = ir.from_onnx_text(text) if isinstance(text, str) else text
        before, model = infer(source), infer(source)
        provenance.stamp(before)
        context = apply_pass(model, item)
        result = Rewritten(before, model, context)
        if not context.rewrites:
            assert model_io.to_bytes(before) == model_io.to_bytes(model)
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
        if runs:
            inputs = random_inputs(before, seed=1, batch=item.contract.batch or batch)
            for delta in compare(run(before, inputs), run(model, inputs)):
                assert delta.within(max(item.contract.tolerance, rounding(before))), delta
        return result

    return rewrite
