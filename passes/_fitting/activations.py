"""Activations of a graph that changes from its front to its back, each node run once if possible.

A pass that fits one layer after the other needs what each reads behind the layers that are fitted
already. Running all that lies in front for every layer takes time with the square of the depth. So
what crosses from the nodes in front of a layer to those behind is kept, for all samples, as long as
it fits into memory, and the next layer's activations start there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import observe_names
from lprc.passes._fitting.cut import Like, crossing, part

Array = NDArray[Any]

KEPT = 1 << 28
"""The most bytes of activations that are kept at one cut: 256 MiB."""


class Activations:
    """Runs a graph over samples, from the front to one node after the other.

    Between two calls only nodes may change that are not in front of the last one. An iterator has
    to be read to its end for its activations to be kept.

    Args:
        model: The graph; it is not changed.
        samples: Its inputs.
        check: Whether to look for what is not finite; the caller does where it reads all anyway.
        budget: The most bytes of activations that are kept between calls.
    """

    def __init__(
        self,
        model: ir.Model,
        samples: Sequence[Arrays],
        *,
        check: bool = True,
        budget: int | None = None,
    ) -> None:
        self._model = model
        self._samples = samples
        self._check = check
        self._budget = KEPT if budget is None else budget
        self._kept: dict[str, list[Array]] = {}

    def before(self, node: ir.Node) -> Iterator[Array]:
        """What the first input of `node` is for each sample.

        Raises:
            DataError: There is no sample, or it is NaN or infinite and `check` is on.
            RunError: ONNX Runtime refuses the graph, or fails on a sample.
        """
        value = node.inputs[0]
        assert value is not None
        return self._advance(node, str(value.name), inclusive=False)

    def behind(self, node: ir.Node) -> Iterator[Array]:
        """What the first output of `node` is for each sample; errors as of `before`."""
        return self._advance(node, str(node.outputs[0].name), inclusive=True)

    def _advance(self, node: ir.Node, name: str, *, inclusive: bool) -> Iterator[Array]:
        nodes = list(self._model.graph)
        names = crossing(self._model.graph, nodes[: nodes.index(node) + inclusive])
        keeper = _Keeper(names, self._kept, len(self._samples), self._budget)
        chosen = list(dict.fromkeys([name, *keeper.missing]))
        given = {kept: _like(arrays) for kept, arrays in self._kept.items()}
        segment = part(self._model, chosen, given)
        observed = observe_names(
            segment.proto,
            chosen,
            self._inputs(segment.inputs),
            checked=[name] if self._check else [],
        )
        for arrays in observed:
            keeper.add(arrays)
            yield arrays[name]
        self._kept = keeper.result()

    def _inputs(self, names: frozenset[str]) -> Iterator[Arrays]:
        """Those inputs of a part that it has, for each sample."""
        kept = sorted(names & self._kept.keys())
        # Reading a sample may mean decoding an image.
        given = {value.name for value in self._model.graph.inputs} & names
        for index in range(len(self._samples)):
            sample = self._samples[index] if given else {}
            arrays = {name: array for name, array in sample.items() if name in names}
            yield arrays | {name: self._kept[name][index] for name in kept}


class _Keeper:
    """Collects what crosses a cut, or goes on with what crossed the last one where it is too much.

    Attributes:
        missing: The names of what crosses this cut and did not cross the last.

    Args:
        names: What crosses; None where that can't be kept.
        last: What crossed the last cut, for all samples.
        count: The number of samples.
        budget: In bytes.
    """

    def __init__(
        self, names: Sequence[str] | None, last: dict[str, list[Array]], count: int, budget: int
    ) -> None:
        self._last = last
        self._fits = names is not None
        self._cut = {name: last.get(name, []) for name in names or ()}
        self.missing = [name for name in self._cut if name not in last]
        self._count = count
        carried = sum(array.nbytes for arrays in self._cut.values() for array in arrays)
        self._room = budget - carried

    def add(self, arrays: Arrays) -> None:
        """Add one sample's activations."""
        found = [arrays[name] for name in self.missing]
        whole = all(isinstance(array, np.ndarray) for array in found)
        self._fits = self._fits and whole and self._fit(sum(array.nbytes for array in found))
        for name, array in zip(self.missing, found, strict=True):
            if self._fits:
                self._cut[name].append(array)
            else:
                self._cut[name].clear()

    def _fit(self, size: int) -> bool:
        first = not any(self._cut[name] for name in self.missing)
        self._room -= size
        return self._room >= (size * (self._count - 1) if first else 0)

    def result(self) -> dict[str, list[Array]]:
        """What is kept: arrays of all samples by name."""
        return self._cut if self._fits else self._last


def _like(arrays: Sequence[Array]) -> Like:
    """The type of arrays, and those sizes that are the same in all."""
    shapes = {array.shape for array in arrays}
    if len({len(shape) for shape in shapes}) > 1:
        return arrays[0].dtype, None
    sizes = zip(*shapes, strict=True)
    return arrays[0].dtype, [of_axis[0] if len(set(of_axis)) == 1 else None for of_axis in sizes]
