"""What a pass stumbles over in a model that contradicts itself is the model's error."""

from __future__ import annotations

from dataclasses import dataclass

import onnx
import pytest

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io import model_io
from lprc.core.passing.contract import exact
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline

SOUND = """<ir_version: 8, opset_import: ["" : 17]>
g (float[2,3] x) => (float[2,3] y) { [turn] y = Identity(x) }"""


@dataclass(frozen=True)
class Stumbles(Pass):
    """Fail."""

    name = "stumbles"
    contract = exact

    def run(self, model, context):
        raise IndexError("list index out of range")


def run(text):
    model = model_io.from_proto(onnx.parser.parse_model(text))
    PassManager(Pipeline((Stumbles(),))).run(model.clone())


def test_the_model_is_blamed_where_it_contradicts_itself():
    with pytest.raises(InvalidModelError) as caught:
        run(SOUND.replace("(float[2,3] y)", "(float[2,4] y)"))
    assert "pass 'stumbles' fails on a graph that contradicts itself" in str(caught.value)
    assert "node name: turn" in str(caught.value)


def test_the_pass_is_where_the_model_is_sound():
    with pytest.raises(IndexError):
        run(SOUND)
