"""Operators by what float16 does to them."""

from __future__ import annotations

from lprc.core.graph import operators
from lprc.core.graph.operators import POOLS, QDQ, SOFTMAX

GAINS = operators.LINEAR | {"Einsum"}
"""Operators that are worth Casts around them."""

STEEP = frozenset(["Exp", "Log", "Mish", "Pow", "Reciprocal", "Softplus"])
"""Operators that turn ordinary numbers into ones that float16 does not hold."""

# A remainder is off by as much as its operands are; powers are summed without bound.
COMPUTES = (
    operators.ACTIVATIONS | operators.ARITHMETIC | POOLS | operators.GLOBAL_POOLS
    | {"Abs", "Ceil", "Erf", "Floor", "Neg", "Round", "Sign", "Sqrt"}
    | {"BatchNormalization", "ReduceL1", "ReduceMean", "ReduceSum", "Resize"}
) - STEEP - {"Mod", "LpPool", "GlobalLpPool"}  # fmt: skip
"""Operators that round, by no more than float16 does."""

# What compares gives one of its inputs, a truth value, an index or a filler. IsInf is left out:
# what is finite in float32 may be infinite in float16.
MOVES = operators.MOVES | operators.COMPARISONS | {
    "ArgMax", "ArgMin", "Cast", "CenterCropPad", "Dropout", "IsNaN", "Pad", "ReduceMax",
    "ReduceMin", "ScatterElements", "ScatterND", "TopK", "Trilu", "Where",
}  # fmt: skip
"""Operators that round nothing: float16 gains nothing where their neighbours are float32."""

SUMS = SOFTMAX | operators.AVERAGES | {"ReduceL1", "ReduceSum"}
"""Operators that may use float16 where they sum few elements."""

KNOWN = GAINS | COMPUTES | MOVES | STEEP | SOFTMAX | QDQ

REDUCES = operators.REDUCTIONS - {"ReduceMax", "ReduceMin"}
"""Reductions whose results are statistics."""

NEVER = {
    **dict.fromkeys(operators.NORMALIZATIONS, "normalises by statistics"),
    **dict.fromkeys(operators.RECURRENT, "recurrent"),
    **dict.fromkeys(
        REDUCES - SUMS | {"CumProd", "CumSum", "Det", "GlobalLpPool", "LpPool"},
        "accumulates without bound",
    ),
    **dict.fromkeys(
        ["AffineGrid", "DeformConv", "GridSample", "MaxRoiPool", "RoiAlign"],
        "coordinates need float32",
    ),
}
"""Operators that stay in float32 whatever their ranges, and why."""

CARRIES = frozenset([
    "Abs", "Add", "Cast", "Clip", "Div", "Exp", "Expand", "Flatten", "Identity", "Log", "Max",
    "Min", "Mul", "Neg", "Pow", "Reciprocal", "Reshape", "Sqrt", "Squeeze", "Sub", "Sum",
    "Transpose", "Unsqueeze",
])  # fmt: skip
"""Operators whose result is a statistic too where their inputs are statistics and constants:
what normalisations are written with, and no activation."""
