"""Who reads a value, and whether several readers end up in one kernel."""

from __future__ import annotations

from typing import Any

from tvm import relax

POINTWISE = frozenset(
    f"relax.{name}"
    for name in (
        "add", "subtract", "multiply", "divide", "clip", "sigmoid", "tanh", "nn.relu",
        "nn.leakyrelu", "nn.silu", "quantize", "dequantize", "maximum", "minimum",
    )
)  # fmt: skip
"""Operators computed element by element, in the kernel of the operator before them."""

_FAR = 12


class Uses:
    """Of the variables of a function of one dataflow block or several."""

    def __init__(self, function: Any) -> None:
        self.bindings = [each for block in function.body.blocks for each in block.bindings]
        self._readers: dict[Any, set[int]] = {}
        for index, binding in enumerate(self.bindings):
            self._note(binding.value, index)
        self._note(function.body.body, len(self.bindings))

    def _note(self, expression: Any, index: int) -> None:
        def visit(part: Any) -> None:
            if isinstance(part, relax.Var):
                self._readers.setdefault(part, set()).add(index)

        relax.analysis.post_order_visit(expression, visit)

    def several(self, variable: Any) -> bool:
        """Whether a value is read in several places that do not come together again.

        In ``x * sigmoid(x)`` x has two readers, and yet nothing else needs it.
        """
        if len(self._readers.get(variable, ())) < 2:
            return False
        waiting = {variable: set(self._readers[variable])}
        for _ in range(_FAR):
            index = min(min(readers) for readers in waiting.values())
            if index == len(self.bindings):
                return True
            binding = self.bindings[index]
            for readers in waiting.values():
                readers.discard(index)
            waiting = {variable: readers for variable, readers in waiting.items() if readers}
            if not waiting:
                return False
            operator = str(getattr(getattr(binding.value, "op", None), "name", ""))
            if operator not in POINTWISE:
                return True
            waiting[binding.var] = set(self._readers.get(binding.var, ()))
            if not waiting[binding.var]:
                return True
        return True
