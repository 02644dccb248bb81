"""Names resolve to passes; a wrong name says what it might have meant."""

from __future__ import annotations

import inspect
from dataclasses import is_dataclass

import pytest

from lprc.core import registry
from lprc.core.builtin import PASSES
from lprc.core.errors import UsageError
from lprc.core.options import option_infos
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_registry import pass_class, pass_names


@pytest.mark.parametrize("name", sorted(PASSES))
def test_every_row_is_a_documented_pass_of_that_name(name):
    found = pass_class(name)
    assert issubclass(found, Pass)
    assert is_dataclass(found)
    assert found.name == name
    assert (inspect.getdoc(found) or "").partition("\n")[0].endswith(".")
    assert all(info.help for info in option_infos(found))


def test_unknown_name_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"unknown pass 'fold-bm' \(did you mean 'fold-bn'\?\)"):
        pass_class("fold-bm")


class _Point:
    name = "third"
    value = "third:Pass"

    def __init__(self, loaded):
        self._loaded = loaded

    def load(self):
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_entry_points_add_passes(monkeypatch):
    class Third(Pass):
        """A third party's pass."""

        name = "third"

    monkeypatch.setattr(registry, "entry_points", lambda group: [_Point(Third)])
    assert "third" in pass_names()
    assert pass_class("third") is Third


def test_broken_entry_point_is_named(monkeypatch):
    points = [_Point(ImportError("no module named third"))]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(UsageError, match="entry point third: can't load 'third:Pass'"):
        pass_class("third")


def test_entry_point_must_be_a_pass(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [_Point(int)])
    with pytest.raises(UsageError, match="'third' is not a Pass"):
        pass_class("third")
