"""Pipeline text of what a task does around a network, and why there is none."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.core.errors import DataError
from lprc.core.tasks.in_graph import postprocessing_text
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task_file import parse_task

PLATES = """task = "plates"
[input]
width = 94
height = 24
color = "BGR"
[output]
alphabet = "AB"
"""

INTERFACE = Interface(
    {"image": (1, 3, 24, 94)}, {"image": np.dtype(np.float32)}, ["out"], "m.onnx", lambda x: x
)


def test_texts_are_decoded_greedily():
    task = parse_task(PLATES, name="mine", where="mine.toml")
    assert postprocessing_text(task, INTERFACE) == "embed-postprocessing{kind=ctc}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            f'{PLATES}decoder = "beam"\n',
            'decoder = "beam" searches, and the graph decodes greedily',
        ),
        ('task = "tensors"\n', "no passes compute those of kind 'tensors'"),
    ],
)
def test_answers_that_no_graph_computes_are_refused_with_the_reason(text, reason):
    task = parse_task(text, name="mine", where="mine.toml")
    with pytest.raises(
        DataError, match=f"task 'mine' can't be computed in the graph: {reason}"
    ) as e:
        postprocessing_text(task, INTERFACE)
    assert e.value.where == "--embed postprocessing"
