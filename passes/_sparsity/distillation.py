"""All weights of a sparse network moved together, towards the outputs of the dense one.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015, without labels: the
teacher is the network itself before it lost weights. Adam (Kingma and Ba, ICLR 2015) on gradients
that ONNX Runtime computes; see `lprc.passes._sparsity.gradients`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.running.numerics import Arrays, Session
from lprc.passes._sparsity.gradients import gradient_model

Float32 = NDArray[np.float32]

BATCH = 20
"""Samples of a step."""


@dataclass(frozen=True)
class Distillation:
    """How to distil.

    Attributes:
        steps: Of Adam, over batches in random order; its rate falls to zero along a cosine.
        rate: Adam's step size at the start.
        seed: Of the order.
        progress: Called with the steps done and their number.
    """

    steps: int
    rate: float
    seed: int = 0
    progress: Callable[[int, int], None] | None = None


def distil(
    student: ir.Model, teacher: ir.Model, names: Sequence[str], samples: Sequence[Arrays],
    settings: Distillation,
) -> dict[str, Float32]:  # fmt: skip
    """New arrays for the initialisers `names` of `student`: zeros of weights stay zeros.

    The loss is the Kullback-Leibler divergence of softmax over axis 1 from the teacher's.

    Raises:
        NoGradientError: The student has an operator without a rule.
    """
    batch = min(BATCH, len(samples))
    rows = len(next(iter(samples[0].values())))
    proto = gradient_model(student, names, batch * rows)
    backward = Session(proto.SerializeToString(), optimize=True, threads=_THREADS)
    forward = Session(_forward(proto), optimize=True, threads=_THREADS)
    dense = Session(to_bytes(teacher), optimize=True, threads=_THREADS)
    values: dict[str, Float32] = {}
    for name in names:
        array = editing.constant(student.graph.initializers[name])
        assert array is not None
        values[name] = array.copy()
    adam = _Adam(values)
    for step, indices in enumerate(_batches(len(samples), batch, settings)):
        if settings.progress is not None:
            settings.progress(step, settings.steps)
        chosen = [samples[index] for index in indices]
        inputs = {name: np.concatenate([sample[name] for sample in chosen]) for name in chosen[0]}
        wanted = [dense.run(sample) for sample in chosen]
        outputs = forward.run({**inputs, **values})
        seeds = {}
        for name, output in outputs.items():
            target = np.concatenate([dense_outputs[name] for dense_outputs in wanted])
            change = _softmax(output) - _softmax(target)
            seeds[f"seed.{name}"] = change * np.float32(output.shape[1] / output.size)
        gradients = backward.run({**inputs, **values, **seeds})
        rate = settings.rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        adam.step({name: gradients[f"gradient.{name}"] for name in names}, rate)
    return values


_THREADS = 2


class _Adam:
    """Adam on arrays in place; what is zero in an array of several axes stays so."""

    def __init__(self, values: dict[str, Float32]) -> None:
        self._values = values
        self._masks = {name: (each != 0) | (each.ndim < 2) for name, each in values.items()}
        self._first = {name: np.zeros_like(each) for name, each in values.items()}
        self._second = {name: np.zeros_like(each) for name, each in values.items()}
        self._count = 0

    def step(self, gradients: Mapping[str, NDArray[Any]], rate: float) -> None:
        self._count += 1
        correction = math.sqrt(1 - 0.99**self._count) / (1 - 0.9**self._count)
        for name, value in self._values.items():
            slope = gradients[name] * self._masks[name]
            first, second = self._first[name], self._second[name]
            first += np.float32(0.1) * (slope - first)
            second += np.float32(0.01) * (slope * slope - second)
            value -= np.float32(rate * correction) * first / (np.sqrt(second) + np.float32(1e-10))


def _batches(count: int, batch: int, settings: Distillation) -> Iterator[NDArray[np.int64]]:
    generator = np.random.default_rng(settings.seed)
    order = np.zeros(0, np.int64)
    for _ in range(settings.steps):
        if len(order) < batch:
            order = generator.permutation(count)
        yield order[:batch]
        order = order[batch:]


def _softmax(logits: Float32) -> Float32:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def _forward(proto: onnx.ModelProto) -> bytes:
    """The graph of `gradient_model` without what computes gradients."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    graph = copy.graph
    for part, prefix in ((graph.output, "gradient."), (graph.input, "seed.")):
        kept = [value for value in part if not value.name.startswith(prefix)]
        del part[:]
        part.extend(kept)
    nodes = [
        node for node in graph.node if not node.output[0].startswith(("backward.", "gradient."))
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(copy.SerializeToString())
