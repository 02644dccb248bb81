"""CTC decoding by prefix beam search, held to a pattern or a lexicon where one is given."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.models.ctc import Alphabet, check_classes

Prefix = tuple[int, ...]

_NEVER = -math.inf


def beam_decode(
    logits: NDArray[np.floating],
    alphabet: Alphabet,
    *,
    width: int = 10,
    pattern: str | None = None,
    lexicon: Sequence[str] = (),
) -> list[str]:
    """Read the text of each plate: the likeliest text over all of its alignments.

    Prefix beam search after Hannun et al., "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1, without a language model.

    Args:
        logits: float [N, classes, steps].
        alphabet: Gives the classes; the blank is the last.
        width: How many prefixes go on after each step.
        pattern: A regular expression; of the texts in the last beam the likeliest that it matches
            as a whole is taken, and the likeliest of all where it matches none.
        lexicon: The texts that there are; the likeliest of them is taken.

    Raises:
        DataError: The logits do not have the alphabet's number of classes.
    """
    check_classes(logits, alphabet)
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if lexicon:
        classes = {character: index for index, character in enumerate(alphabet.alphabet)}
        words = {word: tuple(classes[character] for character in word) for word in lexicon}
        return [_likeliest_word(steps.T, words, alphabet.blank) for steps in probabilities]
    matches = re.compile(pattern).fullmatch if pattern is not None else None
    texts = []
    for steps in probabilities:
        beam = [
            "".join(alphabet.alphabet[code] for code in prefix)
            for prefix in prefix_beam(steps.T, alphabet.blank, width)
        ]
        fitting = (text for text in beam if matches is None or matches(text))
        texts.append(next(fitting, beam[0]))
    return texts


def prefix_beam(steps: NDArray[np.float64], blank: int, width: int) -> list[Prefix]:
    """The likeliest texts as classes, the likeliest first.

    Args:
        steps: Natural logarithms of probabilities, [steps, classes].
        blank: The class that means "no character".
        width: How many there are at most.
    """
    beam: dict[Prefix, _Ends] = {(): _Ends(blank=0.0)}
    for step in steps:
        following: dict[Prefix, _Ends] = defaultdict(_Ends)
        # What is not among the best classes of a step can't be among the best prefixes.
        codes = [int(code) for code in np.argsort(-step, kind="stable")[: width + 1]]
        for prefix, ends in beam.items():
            last = prefix[-1] if prefix else None
            for code in {*codes, blank, *prefix[-1:]}:
                longer = (*prefix, code)
                if code == blank:
                    following[prefix].add_blank(ends.both + step[code])
                elif code == last:
                    following[prefix].add_letter(ends.letter + step[code])
                    following[longer].add_letter(ends.blank + step[code])
                else:
                    following[longer].add_letter(ends.both + step[code])
        ranked = sorted(following.items(), key=lambda item: (-item[1].both, item[0]))
        beam = dict(ranked[:width])
    return list(beam)


@dataclass
class _Ends:
    """Logarithms of the probability that a prefix ends in a blank, and in its last letter."""

    blank: float = _NEVER
    letter: float = _NEVER

    @property
    def both(self) -> float:
        return float(np.logaddexp(self.blank, self.letter))

    def add_blank(self, logarithm: float) -> None:
        self.blank = float(np.logaddexp(self.blank, logarithm))

    def add_letter(self, logarithm: float) -> None:
        self.letter = float(np.logaddexp(self.letter, logarithm))


def _likeliest_word(steps: NDArray[np.float64], words: dict[str, Prefix], blank: int) -> str:
    return max(words, key=lambda word: (log_likelihood(steps, words[word], blank), word))


def log_likelihood(steps: NDArray[np.float64], codes: Prefix, blank: int) -> float:
    """The natural logarithm of a text's probability: the CTC forward variable.

    Graves et al., ICML 2006, section 4.1.

    Args:
        steps: Natural logarithms of probabilities, [steps, classes].
        codes: The text's classes.
        blank: The class that means "no character".
    """
    states = [blank]
    for code in codes:
        states += [code, blank]
    skips = np.array(
        [
            index >= 2 and state not in (blank, states[index - 2])
            for index, state in enumerate(states)
        ]
    )
    forward = np.full(len(states), _NEVER)
    forward[:2] = steps[0, states[:2]]
    for step in steps[1:]:
        one = np.concatenate([[_NEVER], forward[:-1]])
        two = np.where(
            skips, np.concatenate([[_NEVER, _NEVER], forward[:-2]])[: len(states)], _NEVER
        )
        forward = np.logaddexp(np.logaddexp(forward, one), two) + step[states]
    return float(np.logaddexp.reduce(forward[-2:]))
