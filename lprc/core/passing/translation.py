"""What becomes of samples and outputs where a pass changes what a graph takes or puts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from numpy.typing import NDArray

from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import Runs

Sample = dict[str, NDArray[Any]]


class Translation:
    """How inputs and outputs of one graph become those of the graph that a pass makes of it.

    What a pass promises is then about ``outputs(before(restored(x)), restored(x))`` and
    ``after(x)``: verification runs both. All maps are by input or output name, and change nothing
    here.
    """

    def inputs(self, inputs: Arrays) -> Sample:
        """What the new graph takes in place of the old one's `inputs`."""
        return dict(inputs)

    def restored(self, inputs: Arrays) -> Sample | None:
        """The old graph's inputs that mean what the new one's `inputs` do; None where unknown.

        Rounding may be lost on the way through `inputs` and back.
        """
        return dict(inputs)

    def outputs(self, outputs: Arrays, inputs: Arrays) -> Sample:
        """What the new graph is to put out where the old one put out `outputs` for its `inputs`."""
        return dict(outputs)


class TranslatedSamples(Sequence[Sample]):
    """Samples of the old graph as samples of the new one, translated when they are looked at.

    Args:
        samples: Of the old graph.
        translation: The pass's.
    """

    def __init__(self, samples: Sequence[Arrays], translation: Translation) -> None:
        self._samples = samples
        self._translation = translation

    def __len__(self) -> int:
        """The number of samples."""
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """One sample, by the new graph's input names."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        return self._translation.inputs(self._samples[index])


class Translations(Translation):
    """Several translations, one behind the other.

    Args:
        parts: In the order of the passes.
    """

    def __init__(self, parts: Sequence[Translation]) -> None:
        self._parts = tuple(parts)

    def __bool__(self) -> bool:
        """Whether anything is translated."""
        return bool(self._parts)

    def inputs(self, inputs: Arrays) -> Sample:
        """What the last graph takes in place of the first one's `inputs`."""
        translated = dict(inputs)
        for part in self._parts:
            translated = part.inputs(translated)
        return translated

    def restored(self, inputs: Arrays) -> Sample | None:
        """The first graph's inputs that mean what the last one's do; None where unknown."""
        restored: Sample | None = dict(inputs)
        for part in reversed(self._parts):
            restored = None if restored is None else part.restored(restored)
        return restored

    def outputs(self, outputs: Arrays, inputs: Arrays) -> Sample:
        """What the last graph is to put out where the first put out `outputs` for `inputs`."""
        translated, own = dict(outputs), dict(inputs)
        for part in self._parts:
            translated, own = part.outputs(translated, own), part.inputs(own)
        return translated


class TranslatedRuns:
    """A graph, run as if it took and put out what a later one does.

    Args:
        runs: The graph.
        translation: How its interface became the later one's.
    """

    def __init__(self, runs: Runs, translation: Translation) -> None:
        self._runs = runs
        self._translation = translation

    def run(self, inputs: Arrays, /) -> Sample:
        """What the later graph is to put out for `inputs`, which are its own.

        Raises:
            RunError: The graph fails on them, or what they mean to it is not known.
        """
        restored = self._translation.restored(inputs)
        if restored is None:
            raise RunError("inputs of the graph that was cut out say nothing of the whole")
        return self._translation.outputs(self._runs.run(restored), restored)
