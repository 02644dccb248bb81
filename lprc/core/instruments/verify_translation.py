"""What a graph with a new interface is held to: the one before it, on inputs that mean the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lprc.core.instruments.verify_inputs import VerifyInputs
from lprc.core.instruments.verify_runs import Outputs
from lprc.core.passing.translation import Translation
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import Runs

_NEARLY = 1e-5
"""What dividing by a scale and multiplying by it again may cost."""


def translate(
    translation: Translation,
    inputs: VerifyInputs,
    before: Outputs,
    source: Outputs,
    reference: Callable[[], Runs],
) -> tuple[Outputs, Outputs]:
    """Translate the sets of inputs, and what was put out for them.

    Args:
        translation: The pass's.
        inputs: The sets; they become those of the new graph.
        before: What the graph in front of the pass puts out, by the number of the set.
        source: The same of the source graph.
        reference: Opens the graph in front of the pass.

    Returns:
        What the new graph is to put out, by what the graph in front of it does and by what the
        source does. The latter for those sets only that mean the same once they are translated.

    Raises:
        RunError: The graph in front of the pass does not run on what the translation restores.
    """
    old = {number: inputs[number] for number in before}
    inputs.translate(translation, before)
    session: Runs | None = None
    expected: Outputs = {}
    of_source: Outputs = {}
    for number, outputs in before.items():
        restored = translation.restored(inputs[number])
        meant = old[number] if restored is None else restored
        if _same(old[number], meant, 0.0):
            expected[number] = translation.outputs(outputs, meant)
        else:
            session = session or reference()
            expected[number] = translation.outputs(session.run(meant), meant)
        if number in source and _same(old[number], meant, _NEARLY):
            of_source[number] = translation.outputs(source[number], meant)
    return expected, of_source


def _same(left: Arrays, right: Arrays, tolerance: float) -> bool:
    return left.keys() == right.keys() and all(
        np.shape(left[name]) == np.shape(right[name])
        and (
            np.array_equal(left[name], right[name])
            or (tolerance > 0 and np.allclose(left[name], right[name], tolerance, tolerance))
        )
        for name in left
    )
