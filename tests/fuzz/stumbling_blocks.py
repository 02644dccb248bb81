"""Numbers, texts and types at which a reader of models may stumble."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

INTEGERS = [
    0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 15, 16, 64, 255, 256, 1000, 65536, -1, -1, -2, -3, -7, -128,
    2**31 - 1, 2**31, 2**32, 2**40, 2**53 + 1, 2**62, 2**63 - 1, -(2**31), -(2**63), -(2**63) + 1,
]  # fmt: skip
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-5, 1e-30, 1e-45, 1e30, 3.4e38, -3.4e38, float("inf"),
    -float("inf"), float("nan"), 255.0, 6.0, 1e9, 2.0**31, 2.0**63,
]  # fmt: skip
NAMES = [
    "", "x", "y", "w", "a b", "a/b/c", "../../etc", "/tmp/x", "a\nb", "\x1b[31mred\x1b[0m", "a\x00b",
    "\u202egnp", "é", "名前", "😀", "a" * 300, "a" * 5000, "%s%n", "{}", "{x}", "'", '"', "<script>",
    "ai.onnx", "ai.onnx.ml", "com.microsoft", "lprc.origin", "None", "-", "--help", "batch", "N", "a,b",
    "a:b", "a;b", ".", "..", "con", "a=b", "\ufeff", "\u0301", "\x7f", "\x85", "\u2028",
]  # fmt: skip
WORDS = [
    "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "constant", "reflect", "edge", "wrap", "nearest",
    "linear", "cubic", "floor", "round_prefer_floor", "half_pixel", "align_corners", "mean", "sum",
    "none", "add", "mul", "DCR", "CRD", "Relu", "Tanh", "forward", "bidirectional", "ij,jk->ik", "...",
    "i->", "tanh", "zeros", "border",
]  # fmt: skip
TYPES = [*TensorProto.DataType.values(), 27, 100, 2**31 - 1, -1]
TEXT_BYTES = [text.encode() for text in NAMES + WORDS] + [b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80"]


def choice(rng: np.random.Generator, items):
    """One of `items`, as it is."""
    return items[int(rng.integers(len(items)))]


def integer(rng: np.random.Generator) -> int:
    """A 64-bit integer."""
    if rng.random() < 0.5:
        return int(rng.integers(-2, 5))
    return choice(rng, INTEGERS) if rng.random() < 0.8 else int(rng.integers(-(2**63), 2**63 - 1))


def number(rng: np.random.Generator) -> float:
    """A float32."""
    return float(choice(rng, FLOATS)) if rng.random() < 0.8 else float(rng.standard_normal())
