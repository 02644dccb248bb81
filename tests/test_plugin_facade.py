"""What plug-ins may rely on is importable from one module, and the old paths lead there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from lprc import plugin
from lprc.core.moved import MOVED


@pytest.mark.parametrize("name", plugin.__all__)
def test_every_name_is_there(name):
    assert getattr(plugin, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Passs'"):
        plugin.Passs  # noqa: B018


def test_it_costs_no_import_of_onnx_ir():
    code = "import lprc.plugin, sys; print('onnx_ir' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_path_works_and_says_where_to_go(old, new):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=r"from lprc\.plugin"):
        module = importlib.import_module(old)
    assert module is importlib.import_module(new)
    assert module.__spec__ is not None
    assert module.__spec__.name == new
