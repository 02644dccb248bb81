"""Whether a module can be imported."""

from __future__ import annotations

import pytest

from lprc.core.process.installed import is_installed


@pytest.mark.parametrize("module", ["json", "importlib.metadata", "numpy"])
def test_there(module):
    assert is_installed(module)


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.module", "json.nothing"])
def test_not_there(module):
    assert not is_installed(module)


def test_a_folder_of_that_name_is_none(tmp_path, monkeypatch):
    (tmp_path / "their_sdk").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("their_sdk")
    (tmp_path / "their_sdk" / "__init__.py").touch()
    assert is_installed("their_sdk")
