"""One function assembles what a compile is asked for, and the source is read once for all of it."""

from __future__ import annotations

import inspect
import itertools
import shutil
import typing
from pathlib import Path

import click
import pytest

import lprc
from lprc import api
from lprc.cli import compile_cache
from lprc.cli.compile_command import command
from lprc.compiler.compile import model as model_module
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import UsageError
from lprc.core.graph.printer import model_text
from lprc.core.onnx_io import model_io

RENAMED = {"calibration": "calib"}
"""Parameters of `lprc.compile` whose options have another name."""

NO_OPTION = {"progress"}
"""Parameters of `lprc.compile` that a command line can't give: a function."""

WHILE_OR_AFTER = {
    "measure", "dump_dir", "print_changed", "print_before", "print_after", "time_passes", "stats",
    "report", "report_sensitivity", "depfile", "depfile_target", "no_cache", "threads", "as_json",
    "quiet", "verbose", "check_passes", "debug",
}  # fmt: skip
"""Options of ``lprc compile`` that leave the artefact as it is: they look, print or remember."""


def options() -> dict[str, click.Parameter]:
    return {str(parameter.name): parameter for parameter in command.params}


def parameters(function) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def test_the_api_has_every_option_that_shapes_an_artefact():
    shaping = set(options()) - WHILE_OR_AFTER
    given = {RENAMED.get(name, name) for name in parameters(lprc.compile) if name not in NO_OPTION}
    assert given == shaping
    assert set(options()) >= WHILE_OR_AFTER


def test_the_request_has_every_parameter_of_the_api():
    renamed = {"model": "source"}
    asked = set(parameters(compile_request)) - {"observation", "memory"}
    assert {renamed.get(name, name) for name in parameters(lprc.compile)} == asked


def test_the_cache_knows_every_option_that_shapes_an_artefact():
    """Or it looks no further: with an option that it does not know, nothing is restored."""
    files = {"model", "calib", "inputs", "data", "out"}
    seen_at_work = {"max_accuracy_drop", "guard"}
    assert set(compile_cache._SHAPING) | files | seen_at_work == set(options()) - WHILE_OR_AFTER


def test_defaults_and_choices_are_the_same():
    hints = typing.get_type_hints(api.compile)
    context = command.make_context("compile", ["m.onnx", "--target", "onnx", "-o", "out"])
    for name, parameter in parameters(lprc.compile).items():
        option = options().get(RENAMED.get(name, name))
        if option is None or name in ("model", "target", "out"):
            continue
        if isinstance(option.type, click.Choice):
            literals = [hint for hint in typing.get_args(hints[name]) if hint is not type(None)]
            words = [typing.get_args(hint) or (hint,) for hint in literals]
            assert set(option.type.choices) == set(itertools.chain(*words)), name
        default = context.params[str(option.name)]
        assert (default or None) == (parameter.default or None), name
        assert parameter.default == parameters(compile_request)[name].default, name


def test_the_api_refuses_what_is_not_accurate_enough(bundled, plates, tmp_path):
    some = tmp_path / "plates"
    some.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:4]:
        shutil.copy(image, some / f"ZZZ999-{image.name}")  # labels that no network reads
    with pytest.raises(lprc.AccuracyError, match=r"plate accuracy is 0\.0000, and 0\.5000 is"):
        lprc.compile(bundled, "onnx", out=tmp_path / "out", data=some, min_accuracy=0.5)
    assert not (tmp_path / "out").exists()
    artifact = lprc.compile(bundled, "onnx", out=tmp_path / "out", data=some, min_accuracy=0.0)
    assert artifact.manifest["metrics"]["accuracy"]["value"] == 0.0
    with pytest.raises(lprc.UsageError, match="nothing to measure accuracy on"):
        lprc.compile(bundled, "onnx", min_accuracy=0.5)


@pytest.mark.parametrize("name", ["min_accuracy", "max_accuracy_drop"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_shares_are_shares(bundled, tmp_path, name, value):
    with pytest.raises(UsageError, match="is not in the range 0 to 1") as caught:
        compile_request(bundled, "onnx", tmp_path / "out", **{name: value})
    assert caught.value.option == f"--{name.replace('_', '-')}"


@pytest.fixture
def few(plates, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:8]:
        shutil.copy(image, folder)
    rows = (plates / "labels.csv").read_text().splitlines()
    names = {image.name for image in folder.iterdir()}
    kept = [row for row in rows[1:] if any(name in row for name in names)]
    (folder / "labels.csv").write_text("\n".join([rows[0], *kept]) + "\n")
    return folder


@pytest.fixture
def reads(monkeypatch):
    """The files that a graph was made of; running one in its runtime makes none."""
    paths = []
    deserialize = model_io._deserialize

    def note(proto, where):
        paths.append(Path(where))
        return deserialize(proto, where)

    monkeypatch.setattr(model_io, "_deserialize", note)
    return paths


@pytest.fixture
def manifests(monkeypatch):
    """The manifests that `compile_model` wrote."""
    written = []
    write = model_module.write_manifest

    def note(document, folder):
        written.append(document)
        write(document, folder)

    monkeypatch.setattr(model_module, "write_manifest", note)
    return written


def test_the_source_is_read_once_and_the_manifest_written_once(
    bundled, few, tmp_path, reads, manifests
):
    """With all that has looked at the source on its own: images, search, guard, sensitivities."""
    arguments = [
        bundled, "--target", "ort-int8", "-o", tmp_path / "out", "--calib", few, "--data", few,
        "--max-accuracy-drop", "1", "--guard", "--report", tmp_path / "report.html",
        "--report-sensitivity", "--quiet",
    ]  # fmt: skip
    try:
        command.main([str(argument) for argument in arguments], standalone_mode=False)
    except lprc.AccuracyError as error:  # the guard measures, and the machine is busy
        assert "is slower" in error.message  # noqa: PT017
    assert reads.count(bundled) == 1
    (manifest,) = manifests
    assert manifest["metrics"]["accuracy"]["total"] == 8
    assert manifest["accuracy_search"]["wanted"] <= 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["opt", "--passes", "infer-shapes", "-o", "OUT"],
        ["sensitivity", "--passes", "infer-shapes,calibrate{method=min-max},insert-qdq"],
    ],
)
def test_other_commands_read_it_once_too(bundled, few, tmp_path, reads, arguments):
    from lprc.cli.root import LazyGroup

    name, *rest = [str(tmp_path / "o.onnx") if text == "OUT" else text for text in arguments]
    LazyGroup().main([name, str(bundled), *rest, "--calib", str(few), "-q"], standalone_mode=False)
    assert reads.count(bundled) == 1


def test_a_request_stays_as_it_is(bundled, tmp_path):
    """Passes run on a copy: the same request gives the same bytes again."""
    request = compile_request(bundled, "onnx", tmp_path / "out")
    before = model_text(request.model)
    first = (compile_model(request).artifact.path / "lowered.onnx").read_bytes()
    assert model_text(request.model) == before
    assert (compile_model(request).artifact.path / "lowered.onnx").read_bytes() == first
