"""Sets of ONNX operators by what they do; every other set in lprc is one of these, or differs.

Where a pass or a runtime needs another set, it writes the difference, ``UNARY - {"Clip"}``, and
why. tests/core/graph/test_operators.py holds all of them to the table.
"""

from __future__ import annotations

from lprc.core.graph.operator_table import TABLE, Fact

SINCE = {name: since for name, (since, _) in TABLE.items()}
"""The operator set that brought each operator."""


def _with(fact: Fact) -> frozenset[str]:
    return frozenset(name for name, (_, facts) in TABLE.items() if fact in facts)


UNARY = _with(Fact.UNARY)
"""Operators that map each element of their first input by itself; other inputs are scalars."""

BROADCAST = _with(Fact.BROADCAST)
"""Operators that map the elements at one place of all their inputs, after broadcasting."""

ARITHMETIC = _with(Fact.ARITHMETIC)
AFFINE = _with(Fact.AFFINE)
COMPARISONS = _with(Fact.COMPARISON)
COMMUTATIVE = _with(Fact.COMMUTATIVE)

ACTIVATIONS = _with(Fact.ACTIVATION)
"""Operators that runtimes fuse into the linear operator before them."""

MOVES = _with(Fact.MOVES)
"""Operators that put out elements of their first input (Concat: of all) and nothing else."""

RESHAPES = _with(Fact.RESHAPES)
"""Operators that put out all elements of their first input in their order, in another shape."""

POOLS = _with(Fact.POOL)
GLOBAL_POOLS = _with(Fact.GLOBAL_POOL)
"""Operators that pool each channel by itself, over windows and over all of space."""

AVERAGES = _with(Fact.AVERAGE)
REDUCTIONS = _with(Fact.REDUCTION)
NORMALIZATIONS = _with(Fact.NORMALIZATION)
"""Operators that divide by statistics of their input; BatchNormalization's are constants."""

SOFTMAX = _with(Fact.SOFTMAX)

INTEGER = _with(Fact.INTEGER)
"""Operators that compute on quantised values; other domains' names begin with QLinear."""

CONVOLUTIONS = _with(Fact.CONVOLUTION)
PRODUCTS = _with(Fact.PRODUCT)
RECURRENT = _with(Fact.RECURRENT)

CONTRACTIONS = _with(Fact.CONTRACTION)
"""Operators that multiply and accumulate, and are none of the three above."""

# The offsets of a DeformConv are computed for each sample: what it sums is no fixed set.
LINEAR = (CONVOLUTIONS | PRODUCTS) - INTEGER - {"DeformConv"}
"""Operators that sum float inputs, each times a weight: Conv, ConvTranspose, Gemm, MatMul."""

QDQ = _with(Fact.QDQ)
RANDOM = _with(Fact.RANDOM)
"""Operators that give something else each time; Dropout does in training only."""

WITH_SUBGRAPHS = _with(Fact.SUBGRAPHS)
MAKES_SEQUENCE = _with(Fact.MAKES_SEQUENCE)
READS_SEQUENCE = _with(Fact.READS_SEQUENCE)

WEIGHT_INPUT = {name: 3 if name.startswith("QLinear") else 1 for name in CONVOLUTIONS | PRODUCTS}
"""Which input is the kernel of a convolution, or the second matrix of a product."""

BIAS_INPUTS = {
    "Conv": (2,), "ConvTranspose": (2,), "DeformConv": (3,), "Gemm": (2,), "QLinearConv": (8,),
    "GRU": (3,), "LSTM": (3, 7), "RNN": (3,),
}  # fmt: skip
"""Which inputs are added: biases, and the peepholes of an LSTM."""
