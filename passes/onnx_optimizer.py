"""onnxoptimizer as a pass."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import onnx_ir as ir

from lprc.core.errors import InvalidModelError, MissingDependencyError, UsageError
from lprc.core.graph import editing
from lprc.core.graph.operators import RANDOM
from lprc.core.options import option
from lprc.core.passing.adapters import run_over_proto
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class OnnxOptimizer(Pass):
    """Run onnxoptimizer's passes; by default its fuse and eliminate passes that are right.

    Its `eliminate_common_subexpression` merges draws of random numbers. It stays out where a node
    is random, or of another domain, and may be.

    Needs the extra `simplify`.
    """

    name = "onnx-optimizer"
    contract = exact
    packages = ("onnxoptimizer",)
    passes: tuple[str, ...] = option((), "their names, as onnxoptimizer spells them")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Optimise the whole model.

        Raises:
            MissingDependencyError: onnxoptimizer is not installed.
            UsageError: An unknown pass.
            InvalidModelError: onnxoptimizer fails on the model.
        """
        left_out = frozenset([_MERGING]) if _may_be_random(model) else frozenset()
        if left_out & set(self.passes):
            context.skip(None, f"{_MERGING} would merge random numbers")
        run_over_proto(model, context, lambda proto: self._optimize(proto, left_out), self.name)

    def _optimize(self, proto: onnx.ModelProto, left_out: frozenset[str]) -> onnx.ModelProto:
        try:
            import onnxoptimizer
        except ImportError as error:
            raise MissingDependencyError(
                "needs onnxoptimizer",
                where="pass 'onnx-optimizer'",
                hint='pip install "lprc[simplify]"',
            ) from error
        available = onnxoptimizer.get_available_passes()
        unknown = [name for name in self.passes if name not in available]
        if unknown:
            raise UsageError(
                f"onnxoptimizer has no pass '{unknown[0]}'",
                where="onnx-optimizer{passes}",
                hint=f"known: {', '.join(sorted(available))}",
            )
        usual = onnxoptimizer.get_fuse_and_elimination_passes()
        wanted = self.passes or [name for name in usual if name not in _WRONG]
        names = [name for name in wanted if name not in left_out]
        try:
            optimized: onnx.ModelProto = onnxoptimizer.optimize(proto, names)
        except (RuntimeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InvalidModelError(
                f"onnxoptimizer fails: {reason[:200]}", where="pass 'onnx-optimizer'"
            ) from error
        return optimized


_MERGING = "eliminate_common_subexpression"

# Of axes -1 and 0 it makes -1 and 1.
_WRONG = frozenset(["fuse_consecutive_squeezes"])


def _may_be_random(model: ir.Model) -> bool:
    nodes = [*model.graph.all_nodes()]
    for function in model.functions.values():
        nodes += function.all_nodes()
    return any(
        node.op_type in RANDOM if node.domain in editing.ONNX_DOMAIN else True for node in nodes
    )
