"""Pipeline text parses, prints back, and points at what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lprc.core.errors import UsageError
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pipeline import Pipeline


@dataclass(frozen=True)
class Tune(Pass):
    """A pass with an option of every kind."""

    name = "tune"
    contract = exact
    ratio: float = option(0.5, "a fraction")
    count: int | None = option(None, "a number, or none")
    mode: Literal["l1", "l2"] = option("l1", "a choice")
    fast: bool = option(False, "a flag")
    exclude: tuple[str, ...] = option((), "some names")
    label: str = option("", "any text")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Change nothing."""


@dataclass(frozen=True)
class Needy(Pass):
    """A pass with an option that has no default."""

    name = "needy"
    contract = exact
    size: int

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Change nothing."""


@pytest.fixture(autouse=True)
def _table(monkeypatch):
    monkeypatch.setattr("lprc.core.passing.pipeline.pass_class", _lookup)


def _lookup(name):
    try:
        return {"tune": Tune, "needy": Needy}[name]
    except KeyError:
        raise UsageError(f"unknown pass '{name}'") from None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("tune", (Tune(),)),
        (" tune , tune ", (Tune(), Tune())),
        ("tune{}", (Tune(),)),
        ("tune{ratio=0.25,fast=true}", (Tune(ratio=0.25, fast=True),)),
        ("tune{exclude=a,b,mode=l2}", (Tune(exclude=("a", "b"), mode="l2"),)),
        (
            "tune{mode=l2,exclude=/backbone/conv.1,b}",
            (Tune(mode="l2", exclude=("/backbone/conv.1", "b")),),
        ),
        ('tune{label="a, {b} = \\"c\\""}', (Tune(label='a, {b} = "c"'),)),
        ("tune{count=3},needy{size=4}", (Tune(count=3), Needy(4))),
        ("tune{count=none}", (Tune(),)),
        ("tune{exclude=none}", (Tune(),)),
    ],
)
def test_parse(text, expected):
    assert Pipeline.parse(text).passes == expected


@pytest.mark.parametrize(
    ("text", "caret", "message"),
    [
        ("tune,,tune", 5, "expected a pass name"),
        ("tune,", 5, "expected a pass name"),
        ("tune tune", 5, "expected ','"),
        ("tune{ratio}", 10, "expected '='"),
        ("tune{ratio=}", 11, "expected a value"),
        ("tune{ratio=1", 12, "expected '}'"),
        ("tune{ratio=1,}", 13, "expected a value"),
        ("tune{ratio=1,ratio=2}", 13, "given twice"),
        ("tune{ratio=x}", 0, "'x' is not of type float"),
        ("tune{ratoi=1}", 0, "did you mean 'ratio'?"),
        ("tune{mode=l3}", 0, "l1|l2"),
        ("tune{fast=yes}", 0, "'yes' is not of type bool"),
        ("tune{count=1,2}", 0, "takes one value, not 2"),
        ("nope", 0, "unknown pass 'nope'"),
        ("needy", 0, "option 'size' has no value"),
        ('tune{label="a}', 11, "unexpected character"),
        ("tune;tune", 0, "expected a pass name"),
    ],
)
def test_errors_point_at_the_character(text, caret, message):
    with pytest.raises(UsageError) as caught:
        Pipeline.parse(text)
    assert message in str(caught.value)
    lines = str(caught.value).splitlines()
    assert lines[-1].index("^") - 2 == caret
    assert lines[-2][2:] == text


texts = st.text(min_size=1, max_size=8).filter(lambda text: text != "none")
tunes = st.builds(
    Tune,
    ratio=st.floats(allow_nan=False),
    count=st.none() | st.integers(),
    mode=st.sampled_from(["l1", "l2"]),
    fast=st.booleans(),
    exclude=st.lists(texts, max_size=3).map(tuple),
    label=st.text(max_size=8),
)


@given(st.lists(tunes, max_size=3).map(tuple))
def test_printing_and_parsing_are_inverse(passes):
    pipeline = Pipeline(passes)
    assert Pipeline.parse(str(pipeline)) == pipeline


def test_defaults_are_not_printed():
    assert str(Pipeline((Tune(ratio=0.5, fast=True),))) == "tune{fast=true}"
