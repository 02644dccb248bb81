"""Operators that map elements by themselves, as terms: what each one computes over the reals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.printer import attribute_text
from lprc.core.proof.tensors import Inputs, Tensor
from lprc.core.proof.terms import ZERO, Ids, NotProvedError, Terms

Rule = Callable[[ir.Node, list[Ids], Terms], Ids]

RANGES: dict[str, tuple[Fraction | None, Fraction | None]] = {
    "Sigmoid": (Fraction(0), Fraction(1)),
    "Softmax": (Fraction(0), Fraction(1)),
    "Exp": (Fraction(0), None),
    "Softplus": (Fraction(0), None),
    "Sqrt": (Fraction(0), None),
    "Tanh": (Fraction(-1), Fraction(1)),
    "Erf": (Fraction(-1), Fraction(1)),
}
"""Where the results of functions lie of which nothing else is known."""

LARGEST_POWER = 4


def function_name(node: ir.Node, *also: Any) -> tuple[Any, ...]:
    """What an uninterpreted function is called: operator and attributes; the operator is first."""
    attributes = tuple(
        (name, attribute_text(value, in_full=True))
        for name, value in sorted(node.attributes.items())
    )
    return (node.op_type, node.domain, node.overload, attributes, *also)


def map_elements(
    node: ir.Node, inputs: Inputs, terms: Terms, dtype: ir.DataType | None
) -> list[Tensor]:
    """What an operator that maps elements puts out.

    Args:
        node: One of `UNARY` or `BROADCAST` that is not random.
        inputs: Its inputs.
        terms: The table.
        dtype: The output's element type.
    """
    given = [tensor for tensor in inputs if tensor is not None]
    if node.op_type == "Cast" and given[0].dtype == editing.attribute(node, "to"):
        return [given[0]]
    rule = RULES.get(node.op_type)
    integers = any(tensor.is_integer for tensor in given[:1])
    if rule is not None and not (integers and node.op_type in _FLOATS_ONLY):
        return [Tensor(rule(node, _ids(node, inputs), terms), dtype)]
    kinds = tuple(str(tensor.dtype) for tensor in given)
    absent = tuple(index for index, tensor in enumerate(inputs) if tensor is None)
    name = function_name(node, kinds, absent)
    return [Tensor(terms.apply(name, *(tensor.ids for tensor in given)), dtype)]


def _ids(node: ir.Node, inputs: Inputs) -> list[Ids]:
    if node.op_type == "Clip":  # its bounds may be left out
        return [_NONE if tensor is None else tensor.ids for tensor in inputs]
    return [tensor.ids for tensor in inputs if tensor is not None]


_NONE = np.array(-1, np.int64)


def _number(node: ir.Node, name: str, default: float, terms: Terms) -> Ids:
    """A float attribute as a constant, exactly; defaults are float32 too."""
    return np.array(
        terms.constant(Fraction(float(np.float32(editing.attribute(node, name, default)))))
    )


def _binary(operator: str) -> Rule:
    return lambda _node, ids, terms: terms.apply(operator, *ids)


def _folded(operator: str) -> Rule:
    def rule(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
        result = ids[0]
        for more in ids[1:]:
            result = terms.apply(operator, result, more)
        return result

    return rule


def _mean(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    total = _folded("add")(node, ids, terms)
    share = np.array(terms.constant(Fraction(1, len(ids))))
    return total if len(ids) == 1 else terms.apply("mul", total, share)


def _relu(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    return terms.apply("max", ids[0], np.array(ZERO))


def _clip(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    result = ids[0]
    bounds = [bound if bound is not _NONE else None for bound in ids[1:]]
    low, high = [*bounds, None, None][:2]
    if "min" in node.attributes:
        low = _number(node, "min", 0.0, terms)
    if "max" in node.attributes:
        high = _number(node, "max", 0.0, terms)
    result = result if low is None else terms.apply("max", result, low)
    return result if high is None else terms.apply("min", result, high)


def _leaky(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    slope = _number(node, "alpha", 0.01, terms)
    return terms.apply("if_negative", ids[0], terms.apply("mul", ids[0], slope), ids[0])


def _prelu(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    return terms.apply("if_negative", ids[0], terms.apply("mul", *ids), ids[0])


def _abs(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    return terms.apply("if_negative", ids[0], terms.apply("neg", ids[0]), ids[0])


def _thresholded(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    below = terms.apply("sub", _number(node, "alpha", 1.0, terms), ids[0])
    return terms.apply("if_negative", below, ids[0], np.array(ZERO))


def _unit(terms: Terms, ids: Ids) -> Ids:
    one = np.array(terms.constant(Fraction(1)))
    return terms.apply("max", terms.apply("min", ids, one), np.array(ZERO))


def _hard_sigmoid(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    scaled = terms.apply("mul", ids[0], _number(node, "alpha", 0.2, terms))
    return _unit(terms, terms.apply("add", scaled, _number(node, "beta", 0.5, terms)))


def _hard_swish(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    sixth, half = (np.array(terms.constant(Fraction(1, size))) for size in (6, 2))
    gate = _unit(terms, terms.apply("add", terms.apply("mul", ids[0], sixth), half))
    return terms.apply("mul", ids[0], gate)


def _reciprocal(_node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    return terms.apply("div", np.array(terms.constant(Fraction(1))), ids[0])


def _pow(node: ir.Node, ids: list[Ids], terms: Terms) -> Ids:
    """Products where the exponents are small and whole."""
    base, exponent = np.broadcast_arrays(*ids)
    result = terms.apply(function_name(node), base, exponent)
    for power in range(1, LARGEST_POWER + 1):
        here = exponent == terms.constant(Fraction(power))
        product = base[here]
        for _ in range(power - 1):
            product = terms.apply("mul", product, base[here])
        result[here] = product
    return result


def _dropout(node: ir.Node, ids: list[Ids], _terms: Terms) -> Ids:
    training = ids[2] if len(ids) > 2 else None
    if training is not None and int(training.reshape(-1)[0]) != ZERO:
        raise NotProvedError("Dropout may be training")
    graph = node.graph
    version = graph.opset_imports.get("", 7) if isinstance(graph, ir.Graph) else 7
    if version < 7 and not editing.attribute(node, "is_test", 0):
        raise NotProvedError("Dropout may be training")
    return ids[0]


RULES: dict[str, Rule] = {
    "Abs": _abs,
    "Add": _binary("add"),
    "Clip": _clip,
    "Div": _binary("div"),
    "Dropout": _dropout,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky,
    "Max": _folded("max"),
    "Mean": _mean,
    "Min": _folded("min"),
    "Mul": _binary("mul"),
    "Neg": _binary("neg"),
    "PRelu": _prelu,
    "Pow": _pow,
    "Reciprocal": _reciprocal,
    "Relu": _relu,
    "Sub": _binary("sub"),
    "Sum": _folded("add"),
    "ThresholdedRelu": _thresholded,
}
"""Operators that are arithmetic; all others that map elements are uninterpreted functions."""

# Integers divide, and have powers, in another way.
_FLOATS_ONLY = frozenset({"Div", "Mean", "Pow", "Reciprocal"})
