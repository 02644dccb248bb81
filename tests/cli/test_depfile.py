"""Dependency files, read by the real Make and Ninja."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.depfile import depfile_text, write_depfile
from lprc.compiler.cache.input_files import input_files
from lprc.core.errors import OutputError

OUT = Path("out dir/manifest.json")
NAMES = [
    "plain.jpg",
    "a b/x y.jpg",
    "dol$lar.jpg",
    "ha#sh.jpg",
    "co:lon.jpg",
    "per%cent.jpg",
    "back\\slash.jpg",
    "back\\ space.jpg",
    "br[a]c.jpg",
    "pa(re)n.jpg",
    "~home.jpg",
    "Ümlaut.jpg",
]
MAKEFILE = """\
out\\ dir/manifest.json: base
\tmkdir -p 'out dir'; echo RAN; touch 'out dir/manifest.json'
-include o.d
"""
NINJA = """\
rule r
  command = mkdir -p 'out dir'; echo RAN; touch 'out dir/manifest.json'; cp o.d live.d
  depfile = live.d
  deps = gcc
build out$ dir/manifest.json: r base
"""


def ran(folder: Path, tool: str) -> bool:
    done = subprocess.run([tool], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return "RAN" in done.stdout


@pytest.mark.parametrize("tool", ["make", "ninja"])
@pytest.mark.parametrize("name", NAMES)
def test_it_builds_what_changed(tmp_path, tool, name):
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "build.ninja").write_text(NINJA)
    (tmp_path / "base").touch()
    image = tmp_path / name
    image.parent.mkdir(exist_ok=True)
    image.write_text("1")
    write_depfile(tmp_path / "o.d", OUT, [Path(name)])
    assert [ran(tmp_path, tool), ran(tmp_path, tool)] == [True, False]
    image.write_text("2")
    assert [ran(tmp_path, tool), ran(tmp_path, tool)] == [True, False]
    image.unlink()
    assert ran(tmp_path, tool)


@pytest.mark.parametrize("name", ["line\nbreak", "semi;colon", "equals=sign", "pi|pe", "ta\tb"])
def test_what_make_cannot_say_is_refused(name):
    with pytest.raises(OutputError, match="dependency files can't say"):
        depfile_text(OUT, [Path(name)])


def test_all_inputs_are_listed(tmp_path):
    weights = onnx.numpy_helper.from_array(np.ones((300,), np.float32), "w")
    graph = onnx.parser.parse_graph("g (float[300] x) => (float[300] y) { y = Add(x, w) }")
    graph.initializer.append(weights)
    model = onnx.helper.make_model(graph)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    calib, data = tmp_path / "calib", tmp_path / "data"
    for folder in (calib, data):
        folder.mkdir()
        (folder / "1.jpg").touch()
        (folder / "notes.txt").touch()
    (data / "labels.csv").touch()
    plates = tmp_path / "p.toml"
    found = input_files(path, calib=calib, data=data, task=str(plates))
    names = [each.relative_to(tmp_path).as_posix() for each in found.files]
    wanted = ["m.onnx", "m.data", "calib/1.jpg", "data/1.jpg", "data/labels.csv", "p.toml"]
    assert names == wanted
    assert found.folders == (calib, data)


def test_compile_writes_it(lprc, bundled, plates, tmp_path, monkeypatch):
    calib = tmp_path / "ca lib"
    calib.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:8]:
        shutil.copy(image, calib)
    arguments = ["compile", bundled, "--target", "onnx", "--passes", "legalize", "--calib", calib]
    arguments += ["--task", "synthetic", "-o", tmp_path / "out", "--json"]
    done = lprc(*arguments, "--depfile", tmp_path / "out.d", "--depfile-target", "x.stamp")
    text = (tmp_path / "out.d").read_text()
    assert text.startswith("x.stamp: \\\n")
    escaped = str(calib).replace(" ", "\\ ")
    assert text.count(f"{escaped}/") == 16
    assert str(bundled) in text
    assert len(json.loads(done.stdout)["inputs"]) == 9
    lprc(*arguments, "--depfile", tmp_path / "out.d")
    assert (tmp_path / "out.d").read_text().startswith(f"{tmp_path}/out/manifest.json: \\\n")


def test_a_compile_that_fails_writes_none(lprc, tmp_path):
    (tmp_path / "bad.onnx").write_text("no")
    command = ["compile", tmp_path / "bad.onnx", "--target", "onnx", "-o", tmp_path / "out"]
    assert lprc(*command, "--depfile", tmp_path / "out.d", check=False).returncode == 3
    assert not (tmp_path / "out.d").exists()


def test_a_target_without_a_file_is_refused(lprc, small, tmp_path):
    command = [sys.executable, "-m", "lprc", "compile", small, "--target", "onnx", "-o", "x"]
    done = lprc(*command[3:], "--depfile-target", "y", check=False)
    assert done.returncode == 2
    assert "names the output in no file" in done.stderr
