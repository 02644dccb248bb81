"""Beam search, lexica, and what a graph decoded itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from lprc.core.errors import DataError
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task_file import task_from_table
from lprc.models.ctc import character_confidences, greedy_decode
from lprc.models.ctc_beam import beam_decode, log_likelihood, prefix_beam

PLACE = Placement.of((6, 4), (6, 4), "stretch")


@dataclass
class Letters:
    alphabet: tuple[str, ...] = ("A", "B")
    name: str = "letters"
    blank: int = 2
    num_classes: int = 3


def logits(*steps):
    """Logarithms of probabilities [1, classes, steps]."""
    return np.log(np.array(steps, np.float64)).T[None]


def plates(**output):
    table = {
        "input": {"width": 6, "height": 4, "color": "BGR"},
        "output": {"alphabet": "AB", **output},
    }
    return task_from_table({"task": "plates", **table}, "test", "test.toml")


NEVER_BEST = logits([0.4, 0.0 + 1e-9, 0.6], [0.4, 1e-9, 0.6])
"""The best path is two blanks; A, over its three alignments, is likelier (0.64)."""


def test_a_beam_reads_what_no_single_path_says():
    assert greedy_decode(NEVER_BEST, Letters()) == [""]
    assert beam_decode(NEVER_BEST, Letters()) == ["A"]


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_likeliest_text_of_all(seed):
    steps = np.random.default_rng(seed).dirichlet([1, 1, 1], 4)
    texts: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=4):
        text = tuple(code for code, _ in itertools.groupby(path) if code != 2)
        share = float(np.prod([steps[at, code] for at, code in enumerate(path)]))
        texts[text] = texts.get(text, 0.0) + share
    best = max(texts, key=texts.__getitem__)
    assert prefix_beam(np.log(steps), 2, 100)[0] == best
    for text, share in texts.items():
        assert log_likelihood(np.log(steps), text, 2) == pytest.approx(np.log(share))


def test_patterns_and_lexica():
    steps = logits([0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.55, 0.35, 0.1])
    assert beam_decode(steps, Letters()) == ["AA"]
    assert beam_decode(steps, Letters(), pattern="AB|BA") == ["AB"]
    assert beam_decode(steps, Letters(), lexicon=("BB", "B")) == ["BB"]


def test_the_file_chooses_the_decoder():
    outputs = {"y": NEVER_BEST.astype(np.float32)}
    assert plates().answers(outputs, [PLACE]) == [""]
    assert plates(decoder="beam").answers(outputs, [PLACE]) == ["A"]
    with pytest.raises(DataError, match='needs decoder = "beam"'):
        plates(pattern="A+")
    with pytest.raises(DataError, match="has 'C', which is not in the alphabet"):
        plates(decoder="beam", lexicon=["AC"])


def test_codes_from_the_graph_are_spelt():
    codes = np.array([[1, 0, -1, -1], [-1, -1, -1, -1]], np.int32)
    assert plates().answers({"y": codes}, [PLACE, PLACE]) == ["BA", ""]
    with pytest.raises(DataError, match="code 2 is beyond the alphabet's 2 characters"):
        plates().answers({"y": codes + 1}, [PLACE])


def test_confidences_are_those_of_the_characters_read():
    steps = logits([0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1])
    assert greedy_decode(steps, Letters()) == ["AB"]
    assert character_confidences(steps, Letters())[0] == pytest.approx([0.7, 0.6])
