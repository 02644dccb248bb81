"""BatchNormalization by statistics that it is given, as terms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.proof.elementwise import function_name
from lprc.core.proof.tensors import Inputs
from lprc.core.proof.terms import Ids, NotProvedError, Terms

ROOT_BITS = 160
"""To which the root of a variance is right; rounding of constants is 2^-53 at the finest."""


def batch_normalization(node: ir.Node, inputs: Inputs, terms: Terms) -> Ids:
    """``x * factor - mean * factor + bias`` where all but x is constant.

    Otherwise a function of an element and its channel's four numbers.

    Raises:
        NotProvedError: It is training, or an input is missing.
    """
    if is_training_normalization(node):
        raise NotProvedError("BatchNormalization is training")
    given = [tensor.ids for tensor in inputs if tensor is not None]
    if len(given) != 5:
        raise NotProvedError("BatchNormalization without all of its inputs")
    value = given[0]
    scale, bias, mean, variance = (ids.reshape(-1, *[1] * (value.ndim - 2)) for ids in given[1:])
    factor = _factor(node, scale, variance, terms)
    if factor is None:
        return terms.apply(function_name(node), value, scale, bias, mean, variance)
    moved = terms.apply("sub", terms.apply("mul", value, factor), terms.apply("mul", mean, factor))
    return terms.apply("add", moved, bias)


def _factor(node: ir.Node, scale: Ids, variance: Ids, terms: Terms) -> Ids | None:
    """``scale / sqrt(variance + epsilon)`` of each channel; None where it varies or has no root."""
    epsilon = Fraction(float(np.float32(editing.attribute(node, "epsilon", 1e-5))))
    factors = []
    for scale_id, variance_id in zip(scale.flat, variance.flat, strict=True):
        numerator, spread = terms.value(int(scale_id)), terms.value(int(variance_id))
        if numerator is None or spread is None or spread + epsilon <= 0:
            return None
        factors.append(terms.constant(numerator / root(spread + epsilon)))
    return np.array(factors, np.int64).reshape(scale.shape)


def root(value: Fraction) -> Fraction:
    """The square root of a positive number, right to `ROOT_BITS` bits."""
    size = value.numerator.bit_length() - value.denominator.bit_length()
    shift = ROOT_BITS + max(0, -size // 2 + 1)
    return Fraction(math.isqrt((value.numerator << 2 * shift) // value.denominator), 1 << shift)
