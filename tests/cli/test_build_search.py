"""Builds of ``lprc.toml`` that search for their artefact: once, and again where it would differ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from lprc.compiler.cache.input_files import data_files, input_files
from lprc.compiler.project.plan import plan
from lprc.compiler.project.read import parse
from lprc.compiler.project.schema import json_schema
from lprc.core.errors import DataError, UsageError

PROJECT = """\
[model.p]
file = "p.onnx"
task = "synthetic"
data = "few"

[build.best]
model = "p"
search = {pick = "smallest", max-accuracy-drop = 0.1, budget = "5min", trials = 2, threads = 1, targets = ["ort-fp32", "ov-fp32"]}
"""


@pytest.fixture
def project(tmp_path, bundled, plates) -> Path:
    folder = tmp_path / "project"
    (folder / "few").mkdir(parents=True)
    shutil.copy(bundled, folder / "p.onnx")
    rows = (plates / "labels.csv").read_text().splitlines()
    (folder / "few" / "labels.csv").write_text("\n".join(rows[:13]) + "\n")
    for row in rows[1:13]:
        shutil.copy(plates / row.split(",")[0], folder / "few")
    (folder / "lprc.toml").write_text(PROJECT)
    return folder


@pytest.fixture
def build(lprc, project):
    """Calls ``lprc build``; its rows."""

    def run(*arguments):
        done = lprc("build", "-C", project, "--json", *arguments)
        return json.loads(done.stdout)["builds"]

    return run


def test_it_searches_once_and_reuses_the_study(build, lprc, project):
    (row,) = build("--dry-run")
    assert (row["status"], row["why"], row["target"]) == ("stale", "not built yet", None)
    (row,) = build()
    study = project / ".lprc" / "best.search"
    request = json.loads((study / "request.json").read_text())
    manifest = json.loads((project / "build/best/manifest.json").read_text())
    assert manifest["search"] == row["search"] == {**row["search"], "study": request["id"]}
    assert row["accuracy"] == manifest["metrics"]["accuracy"]["value"]
    assert build("--dry-run")[0]["status"] == "fresh"
    found = (study / "front.json").read_bytes()

    # Without the artefact it is taken from the study: nothing is tried or measured again.
    lprc("clean", "-C", project)
    assert not (project / "build/best").exists()
    assert (study / "front.json").read_bytes() == found
    again = build()[0]
    assert again["search"] == row["search"]
    assert (study / "front.json").read_bytes() == found
    assert json.loads((project / "build/best/manifest.json").read_text()) == manifest

    # More trials go on with it, other data begin anew.
    text = (project / "lprc.toml").read_text()
    (project / "lprc.toml").write_text(text.replace("trials = 2", "trials = 3"))
    assert build("--dry-run")[0]["why"] == "lprc.toml asks for something else"
    build()
    front = json.loads((study / "front.json").read_text())
    assert (front["trials"], front["id"]) == (3, request["id"])
    labels = project / "few" / "labels.csv"
    labels.write_text("".join(labels.read_text().splitlines(keepends=True)[:-1]))
    (project / "lprc.toml").write_text(text)
    build()
    front = json.loads((study / "front.json").read_text())
    assert front["trials"] == 2
    assert front["id"] != request["id"]

    lprc("clean", "-C", project, "--studies")
    assert not (project / ".lprc").exists()


def test_a_study_of_another_place_is_begun_anew(tmp_path):
    from lprc.compiler.searching.reuse import drop_another
    from lprc.compiler.searching.study import SURROUNDINGS, Study

    request = {"id": "x", "model": "m", SURROUNDINGS: "here"}
    Study(tmp_path / "study", request, ("size",)).close()
    (tmp_path / "study" / "notes.txt").write_text("mine")
    drop_another(tmp_path / "study", request)
    assert (tmp_path / "study" / "study.sqlite").is_file()
    drop_another(tmp_path / "study", {**request, SURROUNDINGS: "there"})
    left = sorted(path.name for path in (tmp_path / "study").iterdir())
    assert left == ["lock", "notes.txt"]
    (tmp_path / "study" / "notes.txt").unlink()
    Study(tmp_path / "study", {**request, SURROUNDINGS: "there"}, ("size",)).close()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("trials = 2", "trails = 2", r"lprc.toml:8: .*'trails'.*did you mean 'trials'"),
        ("trials = 2", "trials = 0", r"lprc.toml:8: 'build.best.search.trials': must be at least"),
        ('"5min"', '"soon"', r"lprc.toml:8: 'build.best.search.budget': must match"),
        ('"smallest"', '"best"', r"lprc.toml:8: 'build.best.search.pick': must be 'fastest' or"),
        ("search = {", 'target = "onnx"\nsearch = {', r"lprc.toml:8: \[build.best\] has both 'search' and 'target'.*targets"),
        ("search = {", "guard = true\nsearch = {", r"lprc.toml:8: \[build.best\] has both 'search' and 'guard'"),
        ('data = "few"\n', "", r"lprc.toml:7: \[build.best\] has 'search' and no 'data'"),
        ('data = "few"', 'data = "few"\ndim = {N = 2}', r"lprc.toml:5: \[build.best\] searches, and \[model.p\] has 'dim'"),
    ],
)  # fmt: skip
def test_mistakes_have_a_line_and_a_hint(before, after, message):
    assert before in PROJECT
    with pytest.raises(UsageError, match=message):
        plan(parse(PROJECT.replace(before, after), "lprc.toml"), "lprc.toml")


def test_neither_target_nor_search():
    text = PROJECT[: PROJECT.index("search =")]
    with pytest.raises(UsageError, match=r"lprc.toml:6: \[build.best\] has no 'target'"):
        parse(text, "lprc.toml")


@pytest.mark.parametrize(
    ("table", "valid"),
    [
        ({"model": "p", "search": {}}, True),
        ({"model": "p", "search": {"objective": ["size"], "space": "mine.toml"}}, True),
        ({"model": "p", "search": {"objective": ["speed"]}}, False),
        ({"model": "p", "search": {"budget": "soon"}}, False),
        ({"model": "p", "search": {}, "target": "onnx"}, False),
        ({"model": "p"}, False),
    ],
)
def test_the_schema_says_the_same(table, valid):
    validator = jsonschema.Draft202012Validator(json_schema())
    file = {"model": {"p": {"file": "p.onnx"}}, "build": {"best": table}}
    assert validator.is_valid(file) is valid


def test_searches_of_several_models_are_builds_of_their_own():
    text = PROJECT.replace("[build.best]", '[model.q]\nfile = "q.onnx"\ndata = "few"\n[build.best]')
    text = text.replace('model = "p"', 'model = ["p", "q"]')
    builds = plan(parse(text, "lprc.toml"), "lprc.toml")
    assert [item.name for item in builds] == ["best.p", "best.q"]
    assert [str(item.study) for item in builds] == [".lprc/best.p.search", ".lprc/best.q.search"]
    assert "--trials 2" in " ".join(builds[1].arguments)


def test_arrays_are_labelled_samples_too(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(1), y=np.zeros(1))
    np.savez(tmp_path / "b.npz", x=np.zeros(1), y=np.zeros(1))
    model = Path(__file__).parents[2] / "models" / "lprnet_synthetic.onnx"
    assert data_files(tmp_path) == [tmp_path / "a.npz", tmp_path / "b.npz"]
    assert input_files(model, data=tmp_path).data == (tmp_path / "a.npz", tmp_path / "b.npz")
    assert data_files(tmp_path / "b.npz") == [tmp_path / "b.npz"]
    (tmp_path / "c.png").touch()
    assert data_files(tmp_path)[-1] == tmp_path / "c.png"
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="neither images nor labels"):
        data_files(tmp_path / "none")
