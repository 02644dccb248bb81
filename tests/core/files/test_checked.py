"""What is wrong with data from disk is told in one line: file, key, what, and what is known."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, Field

from lprc.core.errors import DataError, UsageError
from lprc.core.files.checked import (
    Open,
    Strict,
    StrictTable,
    WrongValue,
    checked,
    checked_json,
    fits,
)
from lprc.core.files.toml_text import toml_table


def _even(value: int) -> int:
    if value % 2:
        raise WrongValue("must be even", "for instance 2")
    return value


class Part(StrictTable):
    """A part."""

    width: Annotated[int, Field(ge=1, le=9), AfterValidator(_even)]
    kind: Literal["a", "b"] = "a"


class Whole(StrictTable):
    """All that may be wrong."""

    first_part: Part
    more: list[Part] = Field(default_factory=list)
    by_name: dict[Annotated[str, Field(pattern="^[a-z]+$")], Part] = Field(default_factory=dict)
    size: int | str | list[int] = 0
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    flag: bool = False


GOOD = {"first-part": {"width": 2}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first-part": 3}, "first-part: must be a table"),
        ({"first-part": {}}, "first-part: key 'width' is missing"),
        ({"first-part": {"width": "2"}}, "first-part.width: must be a whole number"),
        ({"first-part": {"width": 2.0}}, "first-part.width: must be a whole number"),
        ({"first-part": {"width": True}}, "first-part.width: must be a whole number"),
        ({"first-part": {"width": 0}}, "first-part.width: must be at least 1"),
        ({"first-part": {"width": 10}}, "first-part.width: must be at most 9"),
        ({"first-part": {"width": 3}}, "first-part.width: must be even (for instance 2)"),
        ({"first-part": {"width": 2, "kind": "c"}}, "first-part.kind: must be 'a' or 'b'"),
        (
            {"first-part": {"widht": 2}},
            "first-part: unknown key 'widht' (did you mean 'width'? known: width, kind)",
        ),
        ({"first_part": {"width": 2}}, "unknown key 'first_part' (did you mean 'first-part'?"),
        ({"more": {}}, "more: must be a list"),
        ({"more": [{"width": 2}, {"width": 2, "x": 1}]}, "more.1: unknown key 'x' (known"),
        ({"by-name": {"a": {"width": -2}}}, "by-name.a.width: must be at least 1"),
        ({"by-name": {"A": {"width": 2}}}, "by-name.A: must match ^[a-z]+$"),
        ({"by-name": {"a": {"y": 2}}}, "by-name.a: unknown key 'y' (known: width, kind)"),
        ({"size": 1.5}, "size: must be a whole number"),
        ({"size": [1, "x"]}, "size"),
        ({"share": 0}, "share: must be above 0"),
        ({"share": 1}, "share: must be below 1"),
        ({"share": True}, "share: must be a number"),
        ({"share": float("nan")}, "share: must be a finite number"),
        ({"flag": 1}, "flag: must be true or false"),
        ({"x" * 200: 1}, f"unknown key '{'x' * 80}'"),
    ],
)
def test_what_is_wrong(change, message):
    assert checked(Whole, GOOD, where="f.toml", error=UsageError).first_part.width == 2
    with pytest.raises(UsageError) as caught:
        checked(Whole, {**GOOD, **change}, where="f.toml", error=UsageError)
    assert str(caught.value).startswith(f"f.toml: {message}")
    assert "\n" not in str(caught.value)


class Document(Strict):
    """JSON."""

    names: list[str]


class Loose(Open):
    """JSON of which one key matters."""

    names: list[str]


def test_json_speaks_of_objects():
    with pytest.raises(DataError, match=r"\Af\.json: must be an object\Z"):
        checked(Document, [], where="f.json", error=DataError)


def test_fits():
    assert fits(Document, {"names": []})
    assert not fits(Document, {"names": [], "more": 1})
    assert fits(Loose, {"names": [], "more": 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: "),
        (b"\xff", "can't be read: "),
        (b"{", "can't be read: "),
        (b"[" * 100_000, "can't be read: "),
        (b"{}", "key 'names' is missing"),
        (b'{"names": [1]}', "names.0: must be a string"),
    ],
)
def test_a_file(tmp_path, content, message):
    path = tmp_path / "f.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        checked_json(Document, path, error=DataError, hint="write it again")
    assert str(caught.value).startswith(f"{path}: {message}")
    assert (caught.value.hint, caught.value.path) == ("write it again", path)


def test_toml_that_is_none():
    with pytest.raises(DataError, match=r"\Af\.toml: not TOML: "):
        toml_table("a = ", where="f.toml", error=DataError)
