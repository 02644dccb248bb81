"""The inputs on which graphs are compared: given ones, or made-up ones of sizes that run."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx_ir as ir

from lprc.core.instruments.verify_runs import Outputs, accepts, batch_of
from lprc.core.passing.translation import Translation
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.numerics import Arrays
from lprc.core.running.random_inputs import random_inputs
from lprc.core.running.size_search import runnable_inputs


class VerifyInputs:
    """Sets of inputs, by number.

    Args:
        given: Real ones; None makes random ones.
        seed: Of those.
        sizes: Of symbolic dimensions; those that are not known are searched for.

    Attributes:
        sizes: What was given, and what was found besides.
        invented: Sizes of other dimensions than a batch that were made up, by label.
        promised: Batch sizes that passes make promises for: there is a set of each, if the graph
            takes such.
    """

    def __init__(self, given: Sequence[Arrays] | None, seed: int, sizes: InputSizes | None) -> None:
        self.sizes: InputSizes = sizes or {}
        self.invented: dict[str, int] = {}
        self.promised: list[int] = []
        self._given = given
        self._seed = seed
        self._sets: list[Arrays] = []
        self._left: set[int] = set()
        self._searched: Outputs = {}

    def __getitem__(self, number: int) -> Arrays:
        """One set."""
        return self._sets[number]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sets)

    def choose(self, model: ir.Model, session: IsolatedSession | None) -> None:
        """Take the given inputs, or make up such as the graph runs on.

        Args:
            model: The graph.
            session: It; None where it can't be loaded, so that no sizes can be tried.

        Raises:
            NoInputsError: No inputs were given, and none can be made up for this graph.
            UnrunnableError: No sizes are known that it runs with.
        """
        self._searched = {}
        if self._given:
            self._sets = list(self._given)
        elif session is None:
            self._sets = [random_inputs(model, seed=self._seed, sizes=self.sizes)]
        else:
            runnable = runnable_inputs(model, session.run_within, seed=self._seed, sizes=self.sizes)
            self._sets, self.sizes = [runnable.arrays], runnable.sizes
            self.invented = runnable.invented
            self._searched = {0: dict(runnable.outputs)}
        for batch in self.promised:
            if all(batch_of(inputs) != batch for inputs in self._sets):
                self._sets += self._at_batch(model, batch)

    def outputs(self, model: ir.Model, session: IsolatedSession) -> Outputs:
        """What the graph puts out for the sets that fit it, one of which the search has run.

        Raises:
            RunError: It fails on one.
        """
        return {
            number: self._searched.get(number) or session.run(arrays)
            for number, arrays in self.fitting(model)
        }

    def fitting(self, model: ir.Model) -> list[tuple[int, Arrays]]:
        """The numbered sets that fit `model`; a new one where none fits."""
        fitting = [
            (number, arrays)
            for number, arrays in enumerate(self._sets)
            if number not in self._left and accepts(model, arrays)
        ]
        if fitting or not self._sets:
            return fitting
        arrays: Arrays = random_inputs(model, seed=self._seed, sizes=self.sizes)
        if self._given is not None:
            # A batch of another size: real rows, repeated as often as need be.
            first = self._given[0]
            arrays = {
                name: np.resize(first[name], array.shape) if name in first else array
                for name, array in arrays.items()
            }
        self._sets.append(arrays)
        return [(len(self._sets) - 1, arrays)]

    def translate(self, translation: Translation, numbers: Collection[int]) -> None:
        """Go on with what another graph takes in place of the sets of these `numbers`.

        The others did not fit the graph so far, and are left out from here on.
        """
        if self._given is not None:
            taken = [arrays for number, arrays in enumerate(self._given) if number in numbers]
            self._given = [translation.inputs(arrays) for arrays in taken] or None
        for number, arrays in enumerate(self._sets):
            if number in numbers:
                self._sets[number] = translation.inputs(arrays)
            else:
                self._left.add(number)
        first = self._sets[min(numbers)] if numbers else {}
        self.sizes = {name: (None, *np.shape(array)[1:]) for name, array in first.items()}
        self._searched = {}

    def _at_batch(self, model: ir.Model, batch: int) -> list[Arrays]:
        """Inputs of that batch size, if the graph takes such: rows of the given ones, or random."""
        if self._given is None:
            inputs: Arrays = random_inputs(model, seed=self._seed, batch=batch, sizes=self.sizes)
        else:
            inputs = {
                name: array[:batch] if array.ndim else array
                for name, array in self._given[0].items()
            }
        return [inputs] if batch_of(inputs) == batch and accepts(model, inputs) else []
