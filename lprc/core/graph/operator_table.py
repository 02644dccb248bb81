"""The one table of ONNX's operators: since when there is each, and what it is like.

Of the domain ai.onnx, https://onnx.ai/onnx/operators. `operators` has the sets that follow from it.
"""

from __future__ import annotations

from enum import Flag, auto


class Fact(Flag):
    """What several passes, targets or reports want to know about an operator."""

    NONE = 0
    UNARY = auto()
    """Maps each element of its first input by itself; other inputs are scalars."""
    BROADCAST = auto()
    """Maps the elements at one place of all its inputs, after broadcasting."""
    ARITHMETIC = auto()
    """One of those that broadcast, of numbers to a number of the same type."""
    AFFINE = auto()
    """One of those that broadcast, affine where one input is constant (Div: the second)."""
    COMPARISON = auto()
    """One of those that broadcast, of numbers to a truth value."""
    COMMUTATIVE = auto()
    """Gives the same if its inputs change places."""
    ACTIVATION = auto()
    """Stands behind a linear operator, so that runtimes fuse the two."""
    MOVES = auto()
    """Puts out elements of its first input (Concat: of all) and nothing else."""
    RESHAPES = auto()
    """Puts out all elements of its first input, in their order."""
    POOL = auto()
    """Pools each channel by itself over windows."""
    GLOBAL_POOL = auto()
    """Pools each channel by itself over all of space."""
    AVERAGE = auto()
    """Puts out means of its first input."""
    REDUCTION = auto()
    """Reduces axes that an input or an attribute names."""
    NORMALIZATION = auto()
    """Divides by statistics of its input."""
    SOFTMAX = auto()
    """Normalises exponentials along an axis."""
    CONVOLUTION = auto()
    """Slides a kernel that is an input."""
    PRODUCT = auto()
    """Multiplies two matrices."""
    RECURRENT = auto()
    """Has a matrix W at input 1 and R at input 2, and a state from step to step."""
    CONTRACTION = auto()
    """Multiplies and accumulates in another way."""
    INTEGER = auto()
    """Computes on quantised values, or makes them from statistics of its input."""
    QDQ = auto()
    """Says how a value is quantised."""
    RANDOM = auto()
    """Gives something else each time; Dropout only in training."""
    SUBGRAPHS = auto()
    """Has graphs as attributes."""
    MAKES_SEQUENCE = auto()
    """Puts out a sequence."""
    READS_SEQUENCE = auto()
    """Reads a sequence and puts out a tensor."""


F = Fact

# fmt: off
TABLE: dict[str, tuple[int, Fact]] = {
    "Abs": (1, F.UNARY),
    "Acos": (7, F.UNARY),
    "Acosh": (9, F.UNARY),
    "Add": (1, F.BROADCAST | F.ARITHMETIC | F.AFFINE | F.COMMUTATIVE),
    "AffineGrid": (20, F.NONE),
    "And": (1, F.BROADCAST | F.COMMUTATIVE),
    "ArgMax": (1, F.NONE),
    "ArgMin": (1, F.NONE),
    "Asin": (7, F.UNARY),
    "Asinh": (9, F.UNARY),
    "Atan": (7, F.UNARY),
    "Atanh": (9, F.UNARY),
    "Attention": (23, F.CONTRACTION),
    "AveragePool": (1, F.POOL | F.AVERAGE),
    "BatchNormalization": (1, F.NONE),
    "Bernoulli": (15, F.RANDOM),
    "BitCast": (26, F.UNARY),
    "BitShift": (11, F.BROADCAST),
    "BitwiseAnd": (18, F.BROADCAST | F.COMMUTATIVE),
    "BitwiseNot": (18, F.UNARY),
    "BitwiseOr": (18, F.BROADCAST | F.COMMUTATIVE),
    "BitwiseXor": (18, F.BROADCAST | F.COMMUTATIVE),
    "BlackmanWindow": (17, F.NONE),
    "Cast": (1, F.UNARY),
    "CastLike": (15, F.NONE),
    "CausalConvWithState": (27, F.CONTRACTION),
    "Ceil": (1, F.UNARY),
    "Celu": (12, F.UNARY | F.ACTIVATION),
    "CenterCropPad": (18, F.NONE),
    "Clip": (1, F.UNARY | F.ACTIVATION),
    "Col2Im": (18, F.NONE),
    "Compress": (9, F.MOVES),
    "Concat": (1, F.MOVES),
    "ConcatFromSequence": (11, F.READS_SEQUENCE),
    "Constant": (1, F.NONE),
    "ConstantOfShape": (9, F.NONE),
    "Conv": (1, F.CONVOLUTION),
    "ConvInteger": (10, F.CONVOLUTION | F.INTEGER),
    "ConvTranspose": (1, F.CONVOLUTION),
    "Cos": (7, F.UNARY),
    "Cosh": (9, F.UNARY),
    "CumProd": (26, F.NONE),
    "CumSum": (11, F.NONE),
    "DFT": (17, F.NONE),
    "DeformConv": (19, F.CONVOLUTION),
    "DepthToSpace": (1, F.MOVES),
    "DequantizeLinear": (10, F.QDQ),
    "Det": (11, F.NONE),
    "Div": (1, F.BROADCAST | F.ARITHMETIC | F.AFFINE),
    "Dropout": (1, F.UNARY | F.RANDOM),
    "DynamicQuantizeLinear": (11, F.INTEGER),
    "Einsum": (12, F.CONTRACTION),
    "Elu": (1, F.UNARY | F.ACTIVATION),
    "Equal": (1, F.BROADCAST | F.COMPARISON | F.COMMUTATIVE),
    "Erf": (9, F.UNARY),
    "Exp": (1, F.UNARY),
    "Expand": (8, F.MOVES),
    "EyeLike": (9, F.NONE),
    "Flatten": (1, F.MOVES | F.RESHAPES),
    "Floor": (1, F.UNARY),
    "GRU": (1, F.RECURRENT),
    "Gather": (1, F.MOVES),
    "GatherElements": (11, F.MOVES),
    "GatherND": (11, F.MOVES),
    "Gelu": (20, F.UNARY | F.ACTIVATION),
    "Gemm": (1, F.PRODUCT),
    "GlobalAveragePool": (1, F.GLOBAL_POOL | F.AVERAGE),
    "GlobalLpPool": (1, F.GLOBAL_POOL),
    "GlobalMaxPool": (1, F.GLOBAL_POOL),
    "Greater": (1, F.BROADCAST | F.COMPARISON),
    "GreaterOrEqual": (12, F.BROADCAST | F.COMPARISON),
    "GridSample": (16, F.NONE),
    "GroupNormalization": (18, F.NORMALIZATION),
    "HammingWindow": (17, F.NONE),
    "HannWindow": (17, F.NONE),
    "HardSigmoid": (1, F.UNARY | F.ACTIVATION),
    "HardSwish": (14, F.UNARY | F.ACTIVATION),
    "Hardmax": (1, F.NONE),
    "Identity": (1, F.UNARY | F.MOVES),
    "If": (1, F.SUBGRAPHS),
    "ImageDecoder": (20, F.NONE),
    "InstanceNormalization": (1, F.NORMALIZATION),
    "IsInf": (10, F.UNARY),
    "IsNaN": (9, F.UNARY),
    "LRN": (1, F.NORMALIZATION),
    "LSTM": (1, F.RECURRENT),
    "LayerNormalization": (17, F.NORMALIZATION),
    "LeakyRelu": (1, F.UNARY | F.ACTIVATION),
    "Less": (1, F.BROADCAST | F.COMPARISON),
    "LessOrEqual": (12, F.BROADCAST | F.COMPARISON),
    "LinearAttention": (27, F.CONTRACTION),
    "Log": (1, F.UNARY),
    "LogSoftmax": (1, F.SOFTMAX),
    "Loop": (1, F.SUBGRAPHS),
    "LpNormalization": (1, F.NORMALIZATION),
    "LpPool": (1, F.POOL),
    "MatMul": (1, F.PRODUCT),
    "MatMulInteger": (10, F.PRODUCT | F.INTEGER),
    "Max": (1, F.BROADCAST | F.ARITHMETIC | F.COMMUTATIVE),
    "MaxPool": (1, F.POOL),
    "MaxRoiPool": (1, F.NONE),
    "MaxUnpool": (9, F.NONE),
    "Mean": (1, F.BROADCAST | F.ARITHMETIC | F.COMMUTATIVE),
    "MeanVarianceNormalization": (9, F.NORMALIZATION),
    "MelWeightMatrix": (17, F.NONE),
    "Min": (1, F.BROADCAST | F.ARITHMETIC | F.COMMUTATIVE),
    "Mish": (18, F.UNARY | F.ACTIVATION),
    "Mod": (10, F.BROADCAST | F.ARITHMETIC),
    "Mul": (1, F.BROADCAST | F.ARITHMETIC | F.AFFINE | F.COMMUTATIVE),
    "Multinomial": (7, F.RANDOM),
    "Neg": (1, F.UNARY),
    "NegativeLogLikelihoodLoss": (12, F.NONE),
    "NonMaxSuppression": (10, F.NONE),
    "NonZero": (9, F.NONE),
    "Not": (1, F.UNARY),
    "OneHot": (9, F.NONE),
    "Optional": (15, F.NONE),
    "OptionalGetElement": (15, F.NONE),
    "OptionalHasElement": (15, F.NONE),
    "Or": (1, F.BROADCAST | F.COMMUTATIVE),
    "PRelu": (1, F.BROADCAST | F.ACTIVATION | F.ARITHMETIC),
    "Pad": (1, F.NONE),
    "Pow": (1, F.BROADCAST | F.ARITHMETIC),
    "QLinearConv": (10, F.CONVOLUTION | F.INTEGER),
    "QLinearMatMul": (10, F.PRODUCT | F.INTEGER),
    "QuantizeLinear": (10, F.QDQ),
    "RMSNormalization": (23, F.NORMALIZATION),
    "RNN": (1, F.RECURRENT),
    "RandomNormal": (1, F.RANDOM),
    "RandomNormalLike": (1, F.RANDOM),
    "RandomUniform": (1, F.RANDOM),
    "RandomUniformLike": (1, F.RANDOM),
    "Range": (11, F.NONE),
    "Reciprocal": (1, F.UNARY),
    "ReduceL1": (1, F.REDUCTION),
    "ReduceL2": (1, F.REDUCTION),
    "ReduceLogSum": (1, F.REDUCTION),
    "ReduceLogSumExp": (1, F.REDUCTION),
    "ReduceMax": (1, F.REDUCTION),
    "ReduceMean": (1, F.AVERAGE | F.REDUCTION),
    "ReduceMin": (1, F.REDUCTION),
    "ReduceProd": (1, F.REDUCTION),
    "ReduceSum": (1, F.REDUCTION),
    "ReduceSumSquare": (1, F.REDUCTION),
    "RegexFullMatch": (20, F.NONE),
    "Relu": (1, F.UNARY | F.ACTIVATION),
    "Reshape": (1, F.MOVES | F.RESHAPES),
    "Resize": (10, F.NONE),
    "ReverseSequence": (10, F.MOVES),
    "RoiAlign": (10, F.NONE),
    "RotaryEmbedding": (23, F.NONE),
    "Round": (11, F.UNARY),
    "STFT": (17, F.NONE),
    "Scan": (8, F.SUBGRAPHS),
    "Scatter": (9, F.NONE),
    "ScatterElements": (11, F.NONE),
    "ScatterND": (11, F.NONE),
    "Selu": (1, F.UNARY | F.ACTIVATION),
    "SequenceAt": (11, F.READS_SEQUENCE),
    "SequenceConstruct": (11, F.MAKES_SEQUENCE),
    "SequenceEmpty": (11, F.MAKES_SEQUENCE),
    "SequenceErase": (11, F.MAKES_SEQUENCE),
    "SequenceInsert": (11, F.MAKES_SEQUENCE),
    "SequenceLength": (11, F.READS_SEQUENCE),
    "SequenceMap": (17, F.SUBGRAPHS | F.MAKES_SEQUENCE),
    "Shape": (1, F.NONE),
    "Shrink": (9, F.UNARY | F.ACTIVATION),
    "Sigmoid": (1, F.UNARY | F.ACTIVATION),
    "Sign": (9, F.UNARY),
    "Sin": (7, F.UNARY),
    "Sinh": (9, F.UNARY),
    "Size": (1, F.NONE),
    "Slice": (1, F.MOVES),
    "Softmax": (1, F.SOFTMAX),
    "SoftmaxCrossEntropyLoss": (12, F.NONE),
    "Softplus": (1, F.UNARY | F.ACTIVATION),
    "Softsign": (1, F.UNARY | F.ACTIVATION),
    "SpaceToDepth": (1, F.MOVES),
    "Split": (1, F.MOVES),
    "SplitToSequence": (11, F.MAKES_SEQUENCE),
    "Sqrt": (1, F.UNARY),
    "Squeeze": (1, F.MOVES | F.RESHAPES),
    "StringConcat": (20, F.NONE),
    "StringNormalizer": (10, F.NONE),
    "StringSplit": (20, F.NONE),
    "Sub": (1, F.BROADCAST | F.ARITHMETIC | F.AFFINE),
    "Sum": (1, F.BROADCAST | F.ARITHMETIC | F.COMMUTATIVE),
    "SwiGLU": (28, F.BROADCAST),
    "Swish": (24, F.UNARY | F.ACTIVATION),
    "Tan": (7, F.UNARY),
    "Tanh": (1, F.UNARY | F.ACTIVATION),
    "TensorScatter": (24, F.NONE),
    "TfIdfVectorizer": (9, F.NONE),
    "ThresholdedRelu": (10, F.UNARY | F.ACTIVATION),
    "Tile": (1, F.MOVES),
    "TopK": (1, F.NONE),
    "Transpose": (1, F.MOVES),
    "Trilu": (14, F.NONE),
    "Unique": (11, F.NONE),
    "Unsqueeze": (1, F.MOVES | F.RESHAPES),
    "Upsample": (1, F.NONE),
    "Where": (9, F.BROADCAST),
    "Xor": (1, F.BROADCAST | F.COMMUTATIVE),
}
# fmt: on
"""By name: the operator set that brought it, and the facts."""
