"""How true a quantised graph is to its float one: on labels, or by agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import Outputs
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_image
from lprc.models.labels import LabelledImage, read_labelled
from lprc.models.plate_config import PlateConfig


class Judge(Protocol):
    """Gives a graph a score from 0 to 1.

    Attributes:
        what: What the score is, for instance ``plate accuracy``.
    """

    what: str

    def score(self, session: Session) -> float:
        """The score of the graph that `session` runs."""


class PlateJudge:
    """Exact plate matches on labelled images.

    Args:
        data: A folder of labelled plates.
        config: Alphabet and preprocessing.
        batch: The model's batch size; 1 where it is symbolic.

    Raises:
        DataError: Labels or images that can't be used.
    """

    what = "plate accuracy"

    def __init__(self, data: Path, config: PlateConfig, batch: int = 1) -> None:
        self._items: list[LabelledImage] = read_labelled(data, config)
        self._config = config
        self._batch = batch

    def score(self, session: Session) -> float:
        """Exact matches over plates."""
        (name,) = session.input_names
        right = 0
        for item in self._items:
            logits = session.run(self._inputs(item, name))[session.output_names[0]]
            right += greedy_decode(logits[:1], self._config)[0] == item.label
        return right / len(self._items)

    def samples(self, name: str) -> list[Arrays]:
        """A few images as inputs called `name`, to rank layers with."""
        return [self._inputs(item, name) for item in spread(self._items, _FEW)]

    def _inputs(self, item: LabelledImage, name: str) -> Arrays:
        image = load_image(item.path, self._config)[None]
        return {name: np.repeat(image, self._batch, axis=0)}


_FEW = 24


class AgreementJudge:
    """How much of what it puts out agrees with the float graph, without labels.

    An output with a class axis (axis 1 of two or more) agrees in a position where the largest
    class is the same; another output agrees as far as it correlates (its cosine similarity).

    Args:
        reference: The float graph.
        samples: Inputs; looked at one at a time.
    """

    what = "agreement with float32"

    def __init__(self, reference: Session, samples: Sequence[Arrays]) -> None:
        self._reference = reference
        self._samples = samples
        self._known: list[Outputs] = []
        self._bytes = 0

    def score(self, session: Session) -> float:
        """The mean agreement over samples and outputs."""
        found = [
            agreement(expected[name], output)
            for sample, expected in zip(self._samples, self._expected(), strict=True)
            for name, output in session.run(sample).items()
        ]
        return float(np.mean(found)) if found else 1.0

    def _expected(self) -> Iterator[Outputs]:
        """What the float graph puts out: remembered for the first samples, else run again."""
        for index, sample in enumerate(self._samples):
            if index < len(self._known):
                yield self._known[index]
                continue
            outputs = self._reference.run(sample)
            if self._bytes < REMEMBERED:
                self._known.append(outputs)
                self._bytes += sum(array.nbytes for array in outputs.values())
            yield outputs


REMEMBERED = 2**28
"""Bytes of the float graph's outputs that are remembered from one score to the next."""


def agreement(expected: NDArray[Any], output: NDArray[Any]) -> float:
    """How far one output agrees; see `AgreementJudge`."""
    if expected.ndim >= 2 and expected.shape[1] > 1:
        return float(np.mean(expected.argmax(axis=1) == output.argmax(axis=1)))
    left, right = expected.astype(np.float64).reshape(-1), output.astype(np.float64).reshape(-1)
    lengths = float(np.linalg.norm(left) * np.linalg.norm(right))
    return max(0.0, float(left @ right) / lengths) if lengths > 0 else float(not left.any())
