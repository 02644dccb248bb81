"""Lists of passes, targets and runtimes are whole where a third party's entry is broken."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from lprc.cli.root import main
from lprc.core import registry


@pytest.fixture(params=["passes", "targets", "runtimes"])
def kind(request, monkeypatch) -> str:
    """A registry with an entry point into a module that is not there."""
    group = f"lprc.{request.param}"
    broken = EntryPoint(name="broken-one", value="no_such_module:X", group=group)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [broken] if group == broken.group else []
    )
    return request.param


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code, *capsys.readouterr()


def test_the_list_leaves_it_out_and_says_so(kind, capsys):
    code, out, err = run(capsys, kind, "--json")
    assert code == 0
    assert len(json.loads(out)) > 3
    assert "broken-one" not in out
    assert "warning: 'broken-one' is left out: " in err
    assert "no_such_module" in err


def test_where_it_is_named_it_is_an_error(kind, capsys):
    code, _, err = run(capsys, kind, "broken-one")
    assert code == 2
    assert "no_such_module" in err
