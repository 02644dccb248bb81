"""``lprc build PIPELINE.toml``: each network for its target, calibrated on what it will see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from frames_support import picture, write_pipeline
from PIL import Image
from processes import run_lprc

from lprc.compiler.frames import calibrate
from lprc.compiler.frames.read_pipeline import read_pipeline
from lprc.core.files.digest import sha256

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Both networks are compiled; the detector has three images to calibrate with."""
    path = write_pipeline(tmp_path)
    (tmp_path / "calib").mkdir()
    for name, colours in (("a", ("red", "lime")), ("b", ("lime", "red")), ("c", ("red", "red"))):
        picture(*colours).save(tmp_path / "calib" / f"{name}.png")
    text = path.read_text()
    text = text.replace(
        'task = "finder.toml"', 'task = "finder.toml"\ntarget = "onnx"\ncalib = "calib"'
    )
    text = text.replace('task = "reader.toml"', 'task = "reader.toml"\ntarget = "onnx"')
    path.write_text(text, encoding="utf-8")
    return path


def statuses(*arguments: str | Path) -> dict[str, str]:
    done = run_lprc("build", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return {row["name"]: row["status"] for row in json.loads(done.stdout)["builds"]}


def test_networks_are_built_and_run(lprc, pipeline: Path, tmp_path: Path):
    assert "colours+reader" in statuses(pipeline, "--dry-run")
    done = lprc("build", pipeline)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("finder: built in ")
    assert lines[1] == "reader: calibrated on 6 crops"
    assert lines[2].startswith("reader: built in ")
    crops = sorted((tmp_path / "build/colours/reader.crops").glob("*.png"))
    assert [crop.name for crop in crops] == [f"0000{i}-0{k}.png" for i in range(3) for k in (0, 1)]
    assert [Image.open(crop).size for crop in crops] == [(16, 8), (20, 8)] * 3
    assert np.asarray(Image.open(crops[0]))[0, 0].tolist() == [255, 0, 0]
    manifest = json.loads((tmp_path / "build/colours/reader/manifest.json").read_text())
    assert manifest["target"] == "onnx"

    assert set(statuses(pipeline).values()) == {"fresh"}
    (tmp_path / "x.png").write_bytes((tmp_path / "calib/a.png").read_bytes())
    found = lprc("run", pipeline, tmp_path / "x.png", "--json").stdout
    objects = json.loads(found)["objects"]
    assert [item["reads"]["reader"]["text"] for item in objects] == ["R", "G"]

    # another margin makes other crops, and they another reader
    text = pipeline.read_text()
    pipeline.write_text(text + "margin = [0.5, 0.5]\n", encoding="utf-8")
    assert statuses(pipeline) == {"colours+finder": "fresh", "colours+reader": "built"}
    pipeline.write_text(text, encoding="utf-8")

    # another model is not run in the old one's place
    model = tmp_path / "finder.onnx"
    model.write_bytes((tmp_path / "reader.onnx").read_bytes())
    done = run_lprc("run", pipeline, tmp_path / "x.png")
    assert done.returncode == 3
    assert "models.finder: must be built: input changed: finder.onnx" in done.stderr


def test_images_that_did_not_move_are_not_read_again(
    lprc, pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lprc("build", pipeline)
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return sha256(path)

    monkeypatch.setattr(calibrate, "sha256", counted)
    image = tmp_path / "calib" / "b.png"
    read = read_pipeline(pipeline)
    assert calibrate.make_crops(read, "reader") is None
    assert not [name for name in hashed if name.endswith(".png")]
    image.write_bytes(image.read_bytes())
    assert calibrate.make_crops(read, "reader") is None
    assert [name for name in hashed if name.endswith(".png")] == ["b.png"]


def test_clean_removes_artefacts_and_crops_and_leaves_others_files(
    lprc, pipeline: Path, tmp_path: Path
):
    lprc("build", pipeline)
    done = lprc("clean", pipeline)
    assert [Path(line.split()[1]).name for line in done.stdout.splitlines()] == [
        "finder",
        "reader",
        "reader.crops",
    ]
    assert list((tmp_path / "build/colours").iterdir()) == []
    assert (tmp_path / "calib/a.png").is_file()
    mine = tmp_path / "build/colours/reader.crops"
    mine.mkdir()
    (mine / "00000-00.png").write_bytes(b"mine")
    lprc("clean", pipeline)
    assert (mine / "00000-00.png").read_bytes() == b"mine"


def test_clean_of_a_project_takes_the_crops_of_pipelines_in_its_folder(
    lprc, pipeline: Path, tmp_path: Path
):
    lprc("build", pipeline)
    (tmp_path / "lprc.toml").write_text(
        '[model.net]\nfile = "finder.onnx"\n\n[build.one]\nmodel = "net"\ntarget = "onnx"\n',
        encoding="utf-8",
    )
    lprc("clean", "-C", tmp_path)
    assert list((tmp_path / "build/colours").iterdir()) == []


def test_artefacts_alone_run_where_they_were_brought(lprc, pipeline: Path, tmp_path: Path):
    lprc("build", pipeline)
    for path in (tmp_path / ".lprc").glob("*.json"):
        path.unlink()
    lprc("run", pipeline, tmp_path / "calib")


def test_a_compile_that_fails_stops_the_build(pipeline: Path):
    text = pipeline.read_text().replace('target = "onnx"', 'target = "onix"', 1)
    pipeline.write_text(text, encoding="utf-8")
    done = run_lprc("build", pipeline)
    assert done.returncode == 2
    assert "finder: error: " in done.stderr
    assert "onix" in done.stderr
    assert "reader" not in done.stdout


def test_nothing_to_calibrate_on_is_said(pipeline: Path):
    with pipeline.open("a", encoding="utf-8") as file:
        file.write("min-size = [500, 500]\n")
    done = run_lprc("build", pipeline)
    assert done.returncode == 8
    assert "'reader' has nothing to be calibrated on" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.toml"], 8, "none.toml: can't be read"),
        (["one", "two.toml"], 2, "'one' is a build of lprc.toml"),
        (["{}", "-C", "."], 2, "-C: is for builds of lprc.toml"),
    ],
)
def test_what_can_not_be_built(pipeline: Path, arguments: list[str], code: int, message: str):
    done = run_lprc("build", *(word.format(pipeline) for word in arguments))
    assert done.returncode == code
    assert message in done.stderr
