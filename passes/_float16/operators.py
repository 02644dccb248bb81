"""Operators by what float16 does to them."""

from __future__ import annotations

GAINS = frozenset(["Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul"])
"""Operators that are worth Casts around them."""

COMPUTES = frozenset([
    "Abs", "Add", "AveragePool", "BatchNormalization", "Ceil", "Celu", "Clip", "Div", "Elu",
    "Erf", "Floor", "Gelu", "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish",
    "LeakyRelu", "Max", "MaxPool", "Mean", "Min", "Mul", "Neg", "PRelu", "ReduceL1", "ReduceMean",
    "ReduceSum", "Relu", "Resize", "Round", "Selu", "Sigmoid", "Sign", "Softsign", "Sqrt", "Sub",
    "Sum", "Swish", "Tanh", "ThresholdedRelu",
])  # fmt: skip
"""Operators that round, by no more than float16 does."""

MOVES = frozenset([
    "ArgMax", "ArgMin", "Cast", "CenterCropPad", "Compress", "Concat", "DepthToSpace", "Dropout",
    "Equal", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Greater",
    "GreaterOrEqual", "Identity", "IsNaN", "Less", "LessOrEqual", "Pad", "ReduceMax", "ReduceMin",
    "Reshape", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze",
    "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where",
])  # fmt: skip
"""Operators that round nothing: float16 gains nothing where their neighbours are float32."""

STEEP = frozenset(["Exp", "Log", "Mish", "Pow", "Reciprocal", "Softplus"])
"""Operators that turn ordinary numbers into ones that float16 does not hold."""

SOFTMAX = frozenset(["LogSoftmax", "Softmax"])
QUANTIZES = frozenset(["DequantizeLinear", "QuantizeLinear"])
SUMS = SOFTMAX | {"AveragePool", "GlobalAveragePool", "ReduceL1", "ReduceMean", "ReduceSum"}
"""Operators that may use float16 where they sum few elements."""

KNOWN = GAINS | COMPUTES | MOVES | STEEP | SOFTMAX | QUANTIZES

NEVER = {
    **dict.fromkeys(
        [
            "GroupNormalization", "InstanceNormalization", "LRN", "LayerNormalization",
            "LpNormalization", "MeanVarianceNormalization", "RMSNormalization",
        ],
        "normalises by statistics",
    ),
    **dict.fromkeys(["GRU", "LSTM", "RNN"], "recurrent"),
    **dict.fromkeys(
        [
            "CumProd", "CumSum", "Det", "GlobalLpPool", "LpPool", "ReduceL2", "ReduceLogSum",
            "ReduceLogSumExp", "ReduceProd", "ReduceSumSquare",
        ],
        "accumulates without bound",
    ),
    **dict.fromkeys(
        ["AffineGrid", "DeformConv", "GridSample", "MaxRoiPool", "RoiAlign"],
        "coordinates need float32",
    ),
}  # fmt: skip
"""Operators that stay in float32 whatever their ranges, and why."""

REDUCES = frozenset([
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
])  # fmt: skip
"""Reductions whose results are statistics."""

CARRIES = frozenset([
    "Abs", "Add", "Cast", "Clip", "Div", "Exp", "Expand", "Flatten", "Identity", "Log", "Max",
    "Min", "Mul", "Neg", "Pow", "Reciprocal", "Reshape", "Sqrt", "Squeeze", "Sub", "Sum",
    "Transpose", "Unsqueeze",
])  # fmt: skip
"""Operators whose result is a statistic too where their inputs are statistics and constants."""
