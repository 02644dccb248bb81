"""onnxsim as a pass."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.passing.adapters import run_over_proto
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class Simplify(Pass):
    """Run onnxsim: its constant folding, shape inference and onnxoptimizer's passes.

    Its own check with random inputs is off; ``--verify`` does that. Needs the extra `simplify`.
    """

    name = "simplify"
    contract = exact
    packages = ("onnxsim",)

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Simplify the whole model.

        Raises:
            MissingDependencyError: onnxsim is not installed.
            InvalidModelError: onnxsim fails on the model.
        """
        defaults = any(value.is_graph_input() for value in model.graph.initializers.values())
        if defaults and (model.ir_version or 0) >= 4:
            # onnxsim computes with defaults that a caller may override.
            context.skip(None, "initialisers are inputs: freeze-initializers runs first")
            return
        run_over_proto(model, context, _simplify, self.name)


def _simplify(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        import onnxsim
    except ImportError as error:
        raise MissingDependencyError(
            "needs onnxsim", where="pass 'simplify'", hint='pip install "lprc[simplify]"'
        ) from error
    try:
        simplified: onnx.ModelProto = onnxsim.simplify(proto, check_n=0)[0]
    except Exception as error:  # those of ONNX Runtime, which it runs, share no base
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InvalidModelError(
            f"onnxsim fails: {reason[:200]}", where="pass 'simplify'"
        ) from error
    return simplified
