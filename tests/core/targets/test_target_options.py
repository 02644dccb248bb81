"""Options of targets as the command line gives them: KEY=VALUE,VALUE,KEY=VALUE."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lprc.core.errors import UsageError
from lprc.core.options import with_options
from lprc.core.passing.pipeline import parse_options


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("batch=1/4/8", {"batch": ("1/4/8",)}),
        ("compute-capability=86,89,120", {"compute-capability": ("86", "89", "120")}),
        (
            "compute-capability=86,89,batch=1/4/8",
            {"compute-capability": ("86", "89"), "batch": ("1/4/8",)},
        ),
        (" a = 1 , b = 2 ", {"a": ("1",), "b": ("2",)}),
        (
            "profile=image:1x3x24x94/1x3x24x94/8x3x24x94",
            {"profile": ("image:1x3x24x94/1x3x24x94/8x3x24x94",)},
        ),
        ('profile="my image:1/2/3","}:4/5/6"', {"profile": ("my image:1/2/3", "}:4/5/6")}),
    ],
)
def test_parse_options(text, options):
    assert parse_options(text) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch", "expected '='"),
        ("=4", "expected an option name"),
        ("batch=", "expected a value"),
        ("batch=1,", "expected a value"),
        ("batch=1,,workspace=2", "expected a value"),
        ("batch=1,batch=2", "option 'batch' is given twice"),
        ("batch=1}", "expected no more"),
        ("batch=1} fold-bn{a=2", "expected no more"),
        ("batch={1}", "expected a value"),
        ('batch="1', "unexpected character"),
        (r'batch="\x"', "not a JSON string"),
        ("86", "expected an option name"),
    ],
)
def test_what_is_wrong_has_a_caret(text, message):
    with pytest.raises(UsageError) as caught:
        parse_options(text)
    assert caught.value.where == "options"
    assert message in caught.value.message
    assert caught.value.message.splitlines()[-1].strip() == "^"


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
VALUES = st.lists(st.text(max_size=8), min_size=1, max_size=3).map(tuple)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_every_value_can_be_said(options):
    text = with_options("p", options)
    text = text[len("p{") : -len("}")] if options else ""
    assert parse_options(text) == options
