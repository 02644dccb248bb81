"""CMake builds what is stale, and only that; what it embeds is what was compiled."""

from __future__ import annotations

import hashlib
import shutil
import time

import pytest

BOTH = ["calibrated", "fp32"]
generators = pytest.mark.parametrize("project", ["Ninja", "Unix Makefiles"], indirect=True)


def shown(project, folder) -> list[str]:
    folder.mkdir()
    return project.run(project.build / "show", folder).stdout.split("\n")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a starved machine
@generators
def test_it_builds_exactly_what_is_stale(project, tmp_path):
    project.configure()
    assert project.compiled() == BOTH
    assert project.compiled() == []
    manifest = project.build / "artefacts" / "int8" / "manifest.json"
    first = manifest.read_bytes()
    calib = project.source / "calib"
    images = sorted(calib.iterdir())

    # File times have to differ, on file systems that count in seconds too.
    time.sleep(1.1)
    shutil.copy(images[0], calib / "added.jpg")
    assert project.compiled() == ["calibrated"]
    assert manifest.read_bytes() != first
    time.sleep(1.1)
    (calib / "added.jpg").unlink()
    assert project.compiled() == ["calibrated"]
    assert manifest.read_bytes() == first
    time.sleep(1.1)
    shutil.copyfile(images[1], images[0])
    assert project.compiled() == ["calibrated"]
    assert manifest.read_bytes() != first
    assert project.compiled() == []

    time.sleep(1.1)
    config = project.source / "plates.toml"
    config.write_text(config.read_text() + "# and a comment\n")
    assert project.compiled() == ["calibrated"]
    (project.source / "lprnet.onnx").touch()
    assert project.compiled() == BOTH
    assert project.compiled() == []

    lines = shown(project, tmp_path / "shown")
    assert lines[-2] == hashlib.sha256(manifest.read_bytes()).hexdigest()


@generators
def test_another_command_is_another_artefact(project):
    project.configure()
    project.make()
    time.sleep(1.1)
    project.configure()
    assert project.compiled() == []
    project.configure("-DCALIBRATED_ARGUMENTS=--seed;1")
    assert project.compiled() == ["calibrated"]
    assert project.compiled() == []


@generators
def test_what_is_gone_is_made_again(project):
    project.configure()
    project.make()
    folder = project.build / "artefacts" / "int8"
    # As Ninja does when it is interrupted.
    (folder / "manifest.json").unlink()
    assert project.compiled() == ["calibrated"]
    shutil.rmtree(folder)
    assert project.compiled() == ["calibrated"]
    project.make("--target", "clean")
    assert not folder.exists()
    assert project.compiled() == BOTH


@pytest.mark.parametrize("form", ["object", "array"])
def test_a_program_holds_the_files(project, tmp_path, form):
    project.configure(f"-DFORM={form}")
    project.make()
    *files, facts, digest, _ = shown(project, tmp_path / "shown")
    folder = project.build / "artefacts" / "int8"
    for name in ("model.xml", "model.bin", "deployment.json"):
        written = (tmp_path / "shown" / name).read_bytes()
        assert written == (folder / name).read_bytes()
        assert f"{name} {len(written)} 0" in files
    assert facts == f"model.xml 3 {(folder / 'model.xml').stat().st_size} 1 1"
    assert digest == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("lprc_compile(TARGET onnx MODEL a.onnx)", "OUTPUT is missing"),
        ("lprc_compile(TARGET onnx MODEL a.onnx OUTPUT)", "no value for: OUTPUT"),
        ("lprc_compile(TARGET onnx MODEL a OUTPUT o CALIB c)", "unknown arguments: CALIB;c"),
        ("lprc_compile(TARGET onnx MODEL a OUTPUT o SYMBOL s)", "SYMBOL without EMBED"),
        ("lprc_compile(TARGET onnx MODEL a OUTPUT o EMBED xxd)", "'xxd' is not one of object"),
        ("lprc_compile(TARGET onnx MODEL a OUTPUT o EMBED resource)", "resources are for Windows"),
        ("find_package(lprc 0.0 REQUIRED)", "compatible with requested"),
        ("find_package(lprc 9 REQUIRED)", "compatible with requested"),
    ],
)
def test_wrong_calls_are_refused(project, call, message):
    lists = "cmake_minimum_required(VERSION 3.20)\nproject(p LANGUAGES NONE)\n"
    found = "" if call.startswith("find") else "find_package(lprc REQUIRED)\n"
    (project.source / "CMakeLists.txt").write_text(f"{lists}{found}{call}\n")
    done = project.configure(check=False)
    assert done.returncode != 0
    assert message in " ".join(done.stderr.split())


def test_another_environments_program_is_refused(project, tmp_path):
    other = tmp_path / "lprc"
    other.write_text("#!/bin/sh\necho /usr\n")
    other.chmod(0o755)
    done = project.configure(f"-DLPRC_EXECUTABLE={other}", check=False)
    assert done.returncode != 0
    assert "is not the lprc of" in " ".join(done.stderr.split())


def test_a_failing_compile_fails_the_build(project):
    project.configure()
    (project.source / "lprnet.onnx").write_text("no")
    done = project.run("cmake", "--build", project.build, check=False)
    assert done.returncode != 0
    assert "lprnet.onnx" in done.stdout + done.stderr
    assert not list((project.build / "artefacts" / "int8").glob("*"))  # Ninja makes the folder
