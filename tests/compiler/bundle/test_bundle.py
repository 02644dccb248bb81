"""Bundles as folders, and the command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from stage_cases import MODELS, PIPELINE

from lprc.cli.bundle_command import command
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.bundle.write import bundle, is_bundle
from lprc.core.errors import DataError, LprcError, OutputError, UsageError
from lprc.core.files.digest import sha256
from lprc.models.plate_detector.scenes import street_scene


def _pipeline(folder, text, **replaced):
    for old, new in replaced.items():
        text = text.replace(old, new)
    path = folder / "pipeline.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_file_is_listed(deepstream):
    document = json.loads((deepstream / "bundle.json").read_text())
    assert document["for"] == "deepstream"
    for name, digest in document["files"].items():
        assert sha256(deepstream / name) == digest
    assert is_bundle(deepstream)
    assert len(document["files"]) > 40


def test_the_engines_are_built_from_the_lowered_graphs(deepstream):
    script = (deepstream / "build_engines.sh").read_text()
    assert (
        "cd models/detector && trtexec --onnx=lowered.onnx --saveEngine=model.engine "
        "--stronglyTyped --profilingVerbosity=detailed --skipInference "
        "--minShapes=image:1x3x384x640 --optShapes=image:2x3x384x640 "
        "--maxShapes=image:2x3x384x640"
    ) in script
    assert "--maxShapes=image:8x3x24x94" in script  # as many as top-k
    kit = json.loads((deepstream / "models" / "reader" / "build.json").read_text())
    assert kit["profiles"]["image"][2] == [8, 3, 24, 94]


@pytest.mark.parametrize("name", ["build_engines.sh", "check_versions.sh", "launch.sh"])
def test_scripts_are_shell(deepstream, name):
    script = deepstream / name
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_versions_are_checked(deepstream, tmp_path):
    def programs(version, trtexec):
        for name, text in {
            "trtexec": f"printf '{trtexec}'",
            "gst-inspect-1.0": "exit 0",
        }.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / name).chmod(0o755)
        (tmp_path / "version").write_text(f"Version: {version}\n")
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DEEPSTREAM_DIR": str(tmp_path)}
        return subprocess.run(
            ["sh", deepstream / "check_versions.sh"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    typed = "[TensorRT v100300]\\n  --stronglyTyped\\n"
    assert programs("7.1.0", typed).returncode == 0
    assert programs("8.0.0", "[TensorRT v110000]\\n  --stronglyTyped\\n").returncode == 0
    old = programs("6.4.0", typed)
    assert old.returncode == 1
    assert "DeepStream 6.4.0 is older than 7.1" in old.stderr
    weak = programs("7.1", "[TensorRT v80601]\\n")
    assert weak.returncode == 1
    assert "TensorRT v80601 is older than 10.0" in weak.stderr
    assert "trtexec knows no --stronglyTyped" in weak.stderr
    (tmp_path / "trtexec").unlink()
    bare = subprocess.run(
        ["/bin/sh", deepstream / "check_versions.sh"],
        env={"PATH": "/usr/bin:/bin", "DEEPSTREAM_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bare.returncode == 1
    for missing in ("no DeepStream in /nowhere", "no trtexec", "no element 'nvinfer'"):
        assert missing in bare.stderr


def test_a_bundle_is_replaced_and_nothing_else(pipeline_file, tmp_path):
    single = _pipeline(tmp_path, PIPELINE.split("[models.reader]")[0])
    out = tmp_path / "out"
    bundle(single, "deepstream", out)
    bundle(single, "deepstream", out)
    (out / "models" / "detector" / "model.engine").write_text("built for hours")
    with pytest.raises(OutputError, match="holds files that lprc did not write"):
        bundle(single, "deepstream", out)
    assert (out / "models" / "detector" / "model.engine").is_file()


def test_a_refused_pipeline_leaves_no_folder(tmp_path):
    text = PIPELINE.replace("top-k = 8", 'rectify = "landmarks"')
    with pytest.raises(LprcError, match="upright boxes"):
        bundle(_pipeline(tmp_path, text), "deepstream", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path):
    path = _pipeline(tmp_path, PIPELINE.split("[models.reader]")[0])
    arguments = [str(path), "--for", "deepstream", "-o", str(tmp_path / "out"), "--streams", "3"]
    done = CliRunner().invoke(command, [*arguments, "--frame-size", "640x360", "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert "config/detector.txt" in document["files"]
    assert any("borders are black" in note for note in document["notes"])
    header = (tmp_path / "out" / "app" / "pipeline.hpp").read_text()
    assert "kStreams = 3;" in header
    assert "kWidth = 640, kHeight = 360;" in header


@pytest.mark.parametrize("size", ["640", "0x360", "640x", "640x360x3"])
def test_what_is_no_frame_size(size, pipeline_file, tmp_path):
    arguments = [str(pipeline_file), "--for", "deepstream", "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(command, [*arguments, "--frame-size", size])
    assert isinstance(done.exception, UsageError)
    assert f"'{size}' is no size" in str(done.exception)


def test_a_reader_is_calibrated_with_what_the_detector_cuts_out(tmp_path, monkeypatch):
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(14):
        Image.fromarray(street_scene(index, 7).image).save(frames / f"{index}.png")
    seen = []
    from lprc.compiler.bundle import compiled

    real = compiled.compile_request

    def watched(source, goal, out, **given):
        if given["calibration"] is not None:
            paths = sorted(Path(given["calibration"]).glob("*.png"))
            seen.append((goal, [Image.open(path).size for path in paths]))
        return real(source, goal, out, **given)

    monkeypatch.setattr(compiled, "compile_request", watched)
    text = PIPELINE.replace('"ov-fp32"', '"ov-int8"').replace(
        'task = "plate-detector"', f'task = "plate-detector"\ncalib = "{frames}"'
    )
    bundle(_pipeline(tmp_path, text), "deepstream", tmp_path / "out")
    (detector, whole), (reader, crops) = seen
    assert (detector, reader) == ("tensorrt-fp16", "tensorrt-int8")
    assert whole == [(640, 360)] * 14
    assert len(crops) >= 14
    assert all(width < 400 and height < 200 for width, height in crops)
    assert "network-mode=1" in (tmp_path / "out" / "config" / "reader.txt").read_text()


def test_8_bits_need_images(tmp_path):
    text = PIPELINE.replace('"ov-fp16"', '"ov-int8"')
    with pytest.raises(UsageError, match="tensorrt-int8 needs images to calibrate with"):
        bundle(_pipeline(tmp_path, text), "deepstream", tmp_path / "out")


def test_nothing_is_found_to_calibrate_with(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for shade in range(10):
        Image.new("RGB", (64, 64), (shade,) * 3).save(frames / f"{shade}.png")
    text = PIPELINE.replace('"ov-fp32"', '"ov-int8"').replace(
        'task = "plate-detector"', f'task = "plate-detector"\ncalib = "{frames}"'
    )
    with pytest.raises(DataError, match="'reader' has nothing to be calibrated on"):
        bundle(_pipeline(tmp_path, text), "deepstream", tmp_path / "out")


def test_artefacts_are_taken_as_they_are(deepstream, tmp_path):
    first = PIPELINE.split("[models.reader]")[0].replace('target = "ov-fp16"\n', "")
    first = first.replace('task = "plate-detector"\n', "")
    kit = deepstream / "models" / "detector"
    path = _pipeline(tmp_path, first.replace(f"{MODELS}/plate_detector.onnx", str(kit)))
    bundle(path, "deepstream", tmp_path / "out", streams=2)
    copied = tmp_path / "out" / "models" / "detector" / "lowered.onnx"
    assert sha256(copied) == sha256(kit / "lowered.onnx")
    texts = [folder / "config" / "detector.txt" for folder in (tmp_path / "out", deepstream)]
    assert "net-scale-factor=0.0078125" in texts[0].read_text()
    with pytest.raises(DataError, match="is for tensorrt-fp16, and this bundle takes openvino-"):
        bundle(path, "openvino-dlstreamer", tmp_path / "other")


def test_suppression_and_codes_inside(parsers, harness_file, tmp_path):
    from nvinfer_parsers import compiled

    text = PIPELINE.replace(
        'task = "plate-detector"',
        'task = "plate-detector"\nembed = ["preprocessing", "postprocessing"]',
    )
    text = text.replace('task = "synthetic"', 'task = "synthetic"\nembed = ["postprocessing"]')
    out = tmp_path / "out"
    bundle(_pipeline(tmp_path, text), "deepstream", out)
    harness = compiled(out, tmp_path / "build", harness_file, "Debug")
    image = Image.fromarray(street_scene(3, 7).image)
    detector = open_artifact(out / "models" / "detector")
    array = detector.task.input.array(image)[None]
    outputs = detector.run({"image": array})
    (answer,) = detector.task.answers(outputs, [None])
    one = {name: array[0] for name, array in outputs.items()}
    rows = harness.boxes("NvDsInferParseCustom_detector", one, (640, 384), [0.4])
    assert len(rows) == len(answer.at_least(np.float32(0.4)).scores)
    reader = open_artifact(out / "models" / "reader")
    plate = Image.open(MODELS / "synthetic_plates" / "test" / "000.jpg")
    outputs = reader.run({"image": reader.task.input.array(plate)[None]})
    (expected,) = reader.task.answers(outputs, [None])
    one = {name: array[0] for name, array in outputs.items()}
    assert harness.text("NvDsInferParseCustom_reader", one, (94, 24))[0] == expected
    assert expected
