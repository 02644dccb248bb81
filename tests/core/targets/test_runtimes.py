"""Runtimes are found by name, lprc's own and third parties', and say what they need."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.core import registry
from lprc.core.builtin import RUNTIMES
from lprc.core.errors import InvalidModelError, MissingDependencyError, UsageError
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import Runtime, runtime, runtime_names, runtime_of_file
from lprc.core.targets.target import Target, target, target_names

PLAIN = Runtime("plain", "Plain", "model.plain", "test_runtimes:open_plain")


def open_plain(job: OpenJob) -> SimpleNamespace:
    """A runner that only says what it was asked for."""
    return SimpleNamespace(job=job)


def open_broken(job: OpenJob) -> SimpleNamespace:
    """As a runtime whose own imports fail."""
    raise ImportError("no libplain.so")


@pytest.fixture
def plug_in(monkeypatch):
    """Offer objects, or errors to raise, as runtimes of third parties."""

    def offer(**runtimes):
        def loader(value):
            def load():
                if isinstance(value, Exception):
                    raise value
                return value

            return load

        points = [
            SimpleNamespace(name=name, value=f"theirs:{name}", load=loader(value))
            for name, value in runtimes.items()
        ]
        monkeypatch.setattr(
            registry,
            "entry_points",
            lambda group: points if group == "lprc.runtimes" else [],
        )
        monkeypatch.setitem(sys.modules, "test_runtimes", sys.modules[__name__])

    return offer


@pytest.mark.parametrize("name", sorted(RUNTIMES))
def test_every_row_is_a_runtime_of_that_name(name):
    found = runtime(name)
    assert found.name == name
    assert callable(registry.load_place(found.opener, "here"))
    assert found.install


def test_an_alias_is_its_runtime():
    assert runtime("ort") is runtime("onnxruntime")
    assert runtime("ort").short_name == "ort"
    assert runtime("tvm").short_name == "tvm"


def test_every_target_is_for_a_runtime():
    assert {target(name).runtime for name in target_names()} <= set(runtime_names())


def test_an_unknown_name_is_told():
    with pytest.raises(UsageError, match=r"unknown runtime 'openvin' \(did you mean 'openvino'"):
        runtime("openvin")
    with pytest.raises(UsageError, match=r"unknown runtime 'x' \(`lprc runtimes` lists them"):
        runtime("x")


def test_naming_runtimes_imports_none():
    code = (
        "from lprc.core.targets.runtimes import usable_runtimes; import sys\n"
        "print(len(list(usable_runtimes())), {'numpy', 'onnxruntime', 'tvm'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(RUNTIMES)} set()\n"


def test_a_third_partys_opens_its_files(plug_in, tmp_path):
    plug_in(plain=PLAIN)
    path = tmp_path / "model.plain"
    path.write_bytes(b"x")
    assert "plain" in runtime_names()
    artefact = open_artifact(path)
    assert (artefact.backend, artefact.files) == ("plain", (path,))
    assert artefact.runner(threads=2).job == OpenJob(path, 2)
    assert open_artifact(f"{path}@ort").backend == "ort"


def test_lprcs_own_come_first(plug_in):
    plug_in(plain=replace(PLAIN, file="other.onnx", suffixes=(".onnx", ".plain")))
    assert runtime_of_file(Path("m.onnx")).name == "onnxruntime"
    assert runtime_of_file(Path("m.plain")).name == "plain"
    assert runtime_of_file(Path("m.unheard-of")).name == "onnxruntime"


def test_files_that_belong_together(plug_in, tmp_path):
    plug_in(plain=replace(PLAIN, companions={".plain": (".weights",)}))
    path = tmp_path / "model.plain"
    path.write_bytes(b"x")
    with pytest.raises(InvalidModelError, match=r"'model\.weights' is missing"):
        open_artifact(path)
    path.with_suffix(".weights").write_bytes(b"xyz")
    assert open_artifact(path).size_bytes == 4


def test_a_broken_one_is_an_error_where_it_is_named(plug_in, tmp_path):
    plug_in(broken=ImportError("no module named theirs"), none=object(), syntax=SyntaxError("x"))
    with pytest.raises(UsageError, match="entry point broken: can't load 'theirs:broken'"):
        runtime("broken")
    with pytest.raises(UsageError, match="'none' is not a Runtime"):
        runtime("none")
    assert runtime_of_file(tmp_path / "m.plain").name == "onnxruntime"


def test_what_is_missing_is_told_with_the_command_that_installs_it(plug_in, tmp_path):
    plug_in(plain=replace(PLAIN, requires=("lprc|x", "no_such_module"), install="pip install it"))
    assert runtime("plain").obstacle() == "Plain is not installed"
    with pytest.raises(MissingDependencyError, match="Plain is not installed") as caught:
        runtime("plain").open(OpenJob(tmp_path))
    assert (caught.value.where, caught.value.hint) == (str(tmp_path), "pip install it")


def test_what_can_not_be_imported_is_told(plug_in, tmp_path):
    plug_in(plain=replace(PLAIN, opener="test_runtimes:open_broken"))
    with pytest.raises(MissingDependencyError, match=r"Plain can't be imported: no libplain\.so"):
        runtime("plain").open(OpenJob(tmp_path))
    plug_in(plain=replace(PLAIN, opener="test_runtimes:open_nothing"))
    with pytest.raises(UsageError, match="runtime 'plain': can't load 'test_runtimes:open_nothing"):
        runtime("plain").open(OpenJob(tmp_path))


def test_a_target_may_name_one(plug_in):
    plug_in(plain=PLAIN)
    text = """
    name = "mine"
    description = "Mine."
    precision = "float32"
    runtime = "plain"
    tolerance = 1e-4
    pipeline = "fold-bn"
    rules = []
    """
    assert Target.from_toml(text, where="mine.toml").runtime == "plain"
    with pytest.raises(UsageError, match=r"unknown runtime 'plan' \(known: .*onnxruntime, .*plain"):
        Target.from_toml(text.replace("plain", "plan"), where="mine.toml")
