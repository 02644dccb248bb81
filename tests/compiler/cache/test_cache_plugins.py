"""What other people's passes and targets compute is not taken from the cache once they changed."""

from __future__ import annotations

import importlib
import sys

import pytest

from lprc.compiler.cache.surroundings import plugins, surroundings


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A plug-in with a pass, as an installed distribution."""
    info = tmp_path / "shades-2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shades\nVersion: 2\n")
    (info / "entry_points.txt").write_text("[lprc.passes]\nshade = shades.passes:Shade\n")
    package = tmp_path / "shades"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "passes.py").write_text("raise AssertionError('nobody should import this')\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return package


def _ours():
    return [each for each in plugins() if each[1] == "shade"]


def test_a_plugin_is_part_of_what_results_depend_on(plugin):
    ((group, name, value, distribution, version, files),) = _ours()
    assert (group, name, value) == ("lprc.passes", "shade", "shades.passes:Shade")
    assert (distribution, version) == ("shades", "2")
    assert [file for file, _ in files] == ["__init__.py", "passes.py"]
    assert "shades" not in sys.modules


def test_an_edited_plugin_is_another_one(plugin):
    before = surroundings(None, sdks=False)
    assert surroundings(None, sdks=False) == before
    (plugin / "passes.py").write_text("# edited\n")
    assert surroundings(None, sdks=False) != before


def test_a_plugin_whose_module_is_gone_is_no_error(plugin):
    (plugin / "passes.py").unlink()
    (plugin / "__init__.py").unlink()
    plugin.rmdir()
    importlib.invalidate_caches()
    assert _ours()[0][-1] == []
