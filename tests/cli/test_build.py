"""``lprc build``, ``clean`` and ``schema``: what is stale, why, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from lprc.cli import main
from lprc.compiler.project.plan import choose, plan
from lprc.compiler.project.read import parse
from lprc.compiler.project.schema import json_schema
from lprc.core.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = """\
[project]
out = "made"

[model.net]
file = "net.onnx"

[build.one]
model = "net"
target = "onnx"
passes = "fold-bn"

[build.all]
model = ["net"]
target = ["onnx", "ort-fp32"]
passes = "legalize"
emit = "onnx"
"""
NAMES = ["one", "all.net.onnx", "all.net.ort-fp32"]


@pytest.fixture
def project(tmp_path, small, monkeypatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(small, folder / "net.onnx")
    (folder / "lprc.toml").write_text(PROJECT)
    monkeypatch.chdir(folder)
    # What is tested is not what else is edited in the checkout meanwhile.
    around = {"lprc": "1", "libraries": {"onnx": "1.0"}, "sdks": {}}
    monkeypatch.setattr("lprc.compiler.cache.surroundings.surroundings", lambda store, sdks: around)
    return folder


@pytest.fixture
def call(capsys):
    def run(*arguments, code=0):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        shown = capsys.readouterr()
        assert ended.value.code == code, shown.err + shown.out
        return shown.out, shown.err

    return run


def stale(call) -> dict[str, str]:
    rows = json.loads(call("build", "--dry-run", "--json")[0])["builds"]
    return {row["name"]: row["why"] for row in rows if row["status"] == "stale"}


def test_it_builds_what_is_stale_and_only_that(call, project):
    assert stale(call) == dict.fromkeys(NAMES, "not built yet")
    rows = json.loads(call("build", "-j", "2", "--json")[0])["builds"]
    assert [(row["name"], row["status"]) for row in rows] == [(name, "built") for name in NAMES]
    assert (project / "made/all/net/ort-fp32/manifest.json").is_file()
    assert stale(call) == {}
    assert call("build")[0] == "3 of 3 fresh\n"

    os.utime(project / "net.onnx")  # touched, and the same
    assert stale(call) == {}

    lowered = project / "made/one/lowered.onnx"
    lowered.write_bytes(lowered.read_bytes() + b"x")
    (project / "made/all/net/onnx/lowered.onnx").unlink()
    assert stale(call) == {
        "one": "output changed: lowered.onnx",
        "all.net.onnx": "output missing: lowered.onnx",
    }

    text = PROJECT.replace("fold-bn", "fold-bn,eliminate-identity")
    (project / "lprc.toml").write_text(text)
    assert stale(call)["one"] == "lprc.toml asks for something else"
    assert "one: built" in call("build", "one")[0]
    assert list(stale(call)) == ["all.net.onnx"]

    call("clean", "all")
    assert not (project / "made/all/net/onnx").exists()
    assert (project / "made/one/manifest.json").is_file()
    (project / "lprc.toml").write_text(text.replace("build.one", "build.renamed"))
    out, _ = call("clean")
    assert "removed made/one" in out  # no longer asked for
    assert not (project / ".lprc").exists()
    assert (project / "net.onnx").is_file()


def test_why_for_versions_and_inputs(call, project, monkeypatch):
    call("build", "one", "-q")
    (project / "net.onnx").write_bytes(
        (project / "net.onnx").read_bytes().replace(b"Relu", b"Tanh")
    )
    assert stale(call)["one"] == "input changed: net.onnx"
    call("build", "one", "-q")
    other = {"lprc": "1", "libraries": {"onnx": "2.0"}, "sdks": {}}
    monkeypatch.setattr("lprc.compiler.cache.surroundings.surroundings", lambda store, sdks: other)
    assert stale(call)["one"] == "onnx changed: 1.0 to 2.0"
    out, _ = call("build", "one", "--force")
    assert out.endswith("; --force\n")
    assert "one" not in stale(call)


def test_another_image_is_another_input(call, project, plates):
    (project / "calib").mkdir()
    images = sorted(plates.glob("*.jpg"))[:9]
    for image in images[:8]:
        shutil.copy(image, project / "calib")
    shutil.copy(Path(__file__).parents[2] / "models" / "lprnet_synthetic.onnx", project / "p.onnx")
    (project / "lprc.toml").write_text(
        '[model.p]\nfile = "p.onnx"\ncalib = "calib"\nplates = "synthetic"\n'
        '[build.a]\nmodel = "p"\ntarget = "onnx"\npasses = "legalize"\n'
    )
    call("build", "-q")
    assert stale(call) == {}
    shutil.copy(images[8], project / "calib")
    assert stale(call) == {"a": f"input changed: calib/{images[8].name} added"}
    (project / "calib" / images[8].name).unlink()
    (project / "calib" / "notes.txt").write_text("no image")
    assert stale(call) == {}
    shutil.copy(images[1], project / "calib" / images[0].name)
    assert stale(call) == {"a": f"input changed: calib/{images[0].name}"}


def test_one_failure_loses_no_other(call, project):
    text = PROJECT.replace('passes = "fold-bn"', 'passes = "fold-bm"')
    (project / "lprc.toml").write_text(text)
    out, err = call("build", "-j", "2", code=2)
    assert "one: error: pipeline: unknown pass 'fold-bm'" in err
    assert "one: failed (2)" in err
    assert out.count(": built in ") == 2
    assert list(stale(call)) == ["one"]
    assert not (project / "made/one").exists()


def test_a_missed_accuracy_is_refused(call, project, plates):
    (project / "data").mkdir()
    for image in sorted(plates.glob("*.jpg"))[:4]:
        shutil.copy(image, project / "data" / f"0000-{image.name}")
    shutil.copy(Path(__file__).parents[2] / "models" / "lprnet_synthetic.onnx", project / "p.onnx")
    (project / "lprc.toml").write_text(
        '[model.p]\nfile = "p.onnx"\ndata = "data"\nplates = "synthetic"\n'
        '[build.a]\nmodel = "p"\ntarget = "onnx"\npasses = "legalize"\nmin-accuracy = 0.5\n'
    )
    _, err = call("build", code=6)
    assert "plate accuracy is 0.0000, and 0.5000 is wanted" in err
    assert not (project / "made").exists()


def test_others_files_are_left_alone(call, project):
    (project / "made/one").mkdir(parents=True)
    (project / "made/one/mine.txt").write_text("mine")
    _, err = call("build", "one", code=9)
    assert "did not write" in err
    _, err = call("clean")
    assert "left alone: made/one" in err
    assert (project / "made/one/mine.txt").read_text() == "mine"


def test_it_is_found_from_below_and_by_name(call, project, monkeypatch, tmp_path):
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    assert list(stale(call)) == NAMES
    monkeypatch.chdir(tmp_path)
    assert "one: stale" in call("build", "--dry-run", "-C", project)[0]
    assert "one: stale" in call("build", "--dry-run", "--project", project / "lprc.toml")[0]
    _, err = call("build", "--dry-run", code=2)
    assert "no lprc.toml here or above" in err


def test_an_idle_build_imports_nothing_heavy(project):
    command = [sys.executable, "-m", "lprc", "build", "one", "-q"]
    code = (
        "import sys; from lprc.cli import main\n"
        "try: main(['build', 'one', '--dry-run'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numpy', 'onnx', 'onnx_ir', 'onnxruntime', 'openvino', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run(command, check=True)
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("target = \"onnx\"", "tagret = \"onnx\"", r"lprc.toml:9: \[build.one\].*'tagret'.*'target'"),
        ('model = "net"', 'model = "nett"', r"lprc.toml:8: .*no \[model.nett\].*'net'"),
        ('file = "net.onnx"', "", r"lprc.toml:4: \[model.net\] has no 'file'"),
        ('out = "made"', "out = 3", r"lprc.toml:2: 'project.out'"),
        ("[build.one]", "[biuld.one]", r"unknown key 'biuld'.*'build'"),
        ('emit = "onnx"', 'emit = "all"', r"lprc.toml:16: 'build.all.emit'"),
        ('emit = "onnx"', "min-accuracy = 2", r"lprc.toml:16: .*min-accuracy.: must be at most 1"),
        ('emit = "onnx"', "min-accuracy = 0.5", r"'min-accuracy' and no 'data'"),
        ('["onnx", "ort-fp32"]', "[]", r"build.all.target"),
        ("[build.one]", "[build.one", r"not TOML"),
        ('[build.all]', '[build."a/b"]', r"build.a/b"),
    ],
)  # fmt: skip
def test_mistakes_have_a_line_and_a_hint(before, after, message):
    with pytest.raises(UsageError, match=message):
        plan(parse(PROJECT.replace(before, after), "lprc.toml"), "lprc.toml")


def test_two_builds_in_one_folder_are_refused():
    text = PROJECT.replace('passes = "legalize"', 'out = "made/one"').replace('["net"]', '"net"')
    text = text.replace('["onnx", "ort-fp32"]', '"onnx"')
    with pytest.raises(UsageError, match="same output 'made/one'"):
        plan(parse(text, "lprc.toml"), "lprc.toml")


def test_names_and_wildcards():
    builds = plan(parse(PROJECT, "f"), "f")
    assert [build.name for build in builds] == NAMES
    assert [build.name for build in choose(builds, ["all"], "f")] == NAMES[1:]
    assert [build.name for build in choose(builds, ["*.onnx", "one"], "f")] == NAMES[:2]
    with pytest.raises(UsageError, match=r"no build 'on'.*did you mean 'one'"):
        choose(builds, ["on"], "f")


def test_the_nearest_table_wins_and_options_are_written_out():
    text = """
[project]
plates = "lprnet"
seed = 3
[model.a]
file = "a.onnx"
plates = "synthetic"
calib = "c"
[build.x]
model = "a"
target = "tvm-fp32"
calib = "d"
options = {mattr = ["+avx2", "+fma"], num-cores = 2}
guard = true
"""
    (build,) = plan(parse(text, "f"), "f")
    line = " ".join(build.arguments)
    assert "--calib d --task synthetic" in line
    assert "--seed 3" in line
    assert "-O mattr=+avx2,+fma -O num-cores=2 --guard" in line


@pytest.mark.parametrize(
    ("before", "after", "valid"),
    [
        ("", "", True),
        ("tar", "tra", False),
        ('"made"', "3", False),
        ('emit = "onnx"', "max-accuracy-drop = 1.5", False),
        ('emit = "onnx"', "max-accuracy-drop = 0.01", True),
        ("[build.one]", "[built.one]", False),
    ],
)
def test_the_schema_says_the_same(call, before, after, valid):
    schema = json.loads(call("schema")[0])
    assert schema == json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    text = PROJECT.replace(before, after) if before else PROJECT
    assert jsonschema.Draft202012Validator(schema).is_valid(tomllib.loads(text)) is valid


def test_sizes_and_parts_of_the_task_are_options_of_the_compile():
    text = """
[model.net]
file = "net.onnx"
task = "mine.toml"
input-shape = {image = [1, 3, -1, 64]}
dim = {N = 4}

[build.one]
model = "net"
target = "onnx"
inputs = "real.npz"
dim = {N = 2}
embed = ["preprocessing", "postprocessing"]
source-color = "RGB"
"""
    (build,) = plan(parse(text, "lprc.toml"), "lprc.toml")
    given = build.arguments
    options = dict(zip(given[2::2], given[3::2], strict=True))
    assert options["--input-shape"] == "image:1,3,?,64"
    assert (options["--dim"], options["--inputs"]) == ("N=2", "real.npz")
    assert options["--embed"] == "preprocessing,postprocessing"
    assert (options["--source-color"], options["--task"]) == ("RGB", "mine.toml")
    assert build.inputs == Path("real.npz")


def test_the_old_key_of_tasks_is_read():
    text = PROJECT.replace('file = "net.onnx"', 'file = "net.onnx"\nplates = "synthetic"')
    assert plan(parse(text, "lprc.toml"), "lprc.toml")[0].task == "synthetic"
