"""Greedy CTC decoding as operators, and in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.passes._images.operators import Operators

EMPTY = -1
"""What stands behind a text that is shorter than the steps."""


@dataclass(frozen=True)
class CtcCollapse:
    """The best class of each step, repeats merged, blanks dropped, moved to the front.

    After Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2 (best path
    decoding). The operators are those that every runtime has in integers: comparisons, products
    and sums over a [steps, steps] table take the place of a loop, a CumSum and a scatter.

    Attributes:
        axis: Of the classes, 1 or 2 of the logits' three.
        blank: The class that separates repeats.
    """

    axis: int
    blank: int

    def build(self, tail: Operators, logits: ir.Value) -> ir.Value:
        """The texts of `logits`, [N, classes, steps] or [N, steps, classes]: int32 [N, steps]."""
        assert logits.shape is not None
        batch, steps = logits.shape[0], logits.shape[3 - self.axis]
        assert isinstance(steps, int)
        row, table = [batch, steps], [batch, steps, steps]
        best64 = tail.add(
            "ArgMax", [logits], "best", row,
            dtype=ir.DataType.INT64, attributes={"axis": self.axis, "keepdims": 0},
        )  # fmt: skip
        best = tail.cast(best64, ir.DataType.INT32, "codes")
        counted = tail.cast(self._counts(tail, best, row), ir.DataType.INT32, "counted")
        in_rows, last = tail.integers("in_rows", [1]), tail.integers("last_axis", [2])
        in_table = [batch, 1, steps]
        # Which step a text has got to: how many count up to it.
        up_to = tail.constant("up_to", np.tril(np.ones((1, steps, steps), np.int32)))
        wide = tail.add("Unsqueeze", [counted, in_rows], "counted_in_rows", in_table)
        summed = tail.add("Mul", [wide, up_to], "up_to_step", table)
        place = tail.add("ReduceSum", [summed, last], "place", row, attributes={"keepdims": 0})
        own = tail.add("Mul", [place, counted], "own_place", row)
        places = tail.constant("places", np.arange(1, steps + 1, dtype=np.int32)[None, :, None])
        own_wide = tail.add("Unsqueeze", [own, in_rows], "own_place_in_rows", in_table)
        lands = tail.add("Equal", [own_wide, places], "lands", table, dtype=ir.DataType.BOOL)
        lands_here = tail.cast(lands, ir.DataType.INT32, "lands_here")
        # One more, so that nothing is 0 and becomes EMPTY.
        one = tail.constant("one", np.array(1, np.int32))
        raised = tail.add("Add", [best, one], "raised", row)
        raised_wide = tail.add("Unsqueeze", [raised, in_rows], "raised_in_rows", in_table)
        landed = tail.add("Mul", [lands_here, raised_wide], "landed", table)
        text = tail.add("ReduceSum", [landed, last], "raised_text", row, attributes={"keepdims": 0})
        return tail.add("Sub", [text, one], "text", row)

    def _counts(self, tail: Operators, best: ir.Value, row: list[Any]) -> ir.Value:
        """Which steps are part of the text, BOOL [N, steps]."""
        steps = row[1]
        boolean = ir.DataType.BOOL
        order = tail.integers("before", [0, *range(steps - 1)])
        before = tail.add("Gather", [best, order], "step_before", row, attributes={"axis": 1})
        repeats = tail.add("Equal", [best, before], "repeats", row, dtype=boolean)
        differs = tail.add("Not", [repeats], "differs", row)
        first = tail.constant("first", np.arange(steps)[None] == 0)
        fresh = tail.add("Or", [differs, first], "fresh", row)
        blank = tail.constant("blank", np.array(self.blank, np.int32))
        is_blank = tail.add("Equal", [best, blank], "is_blank", row, dtype=boolean)
        is_text = tail.add("Not", [is_blank], "is_text", row)
        return tail.add("And", [fresh, is_text], "counts", row)

    def apply(self, logits: NDArray[Any]) -> NDArray[np.int32]:
        """The same, step by step."""
        best = logits.argmax(axis=self.axis)
        texts = np.full(best.shape, EMPTY, np.int32)
        for row, codes in enumerate(best):
            fresh = [
                int(code)
                for step, code in enumerate(codes)
                if code != self.blank and (step == 0 or code != codes[step - 1])
            ]
            texts[row, : len(fresh)] = fresh
        return texts
