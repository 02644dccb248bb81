"""``lprc verify`` and ``lprc sbom``: an artefact is what its manifest says, or the file is named."""

from __future__ import annotations

import json
import shutil
import uuid

import numpy as np
import onnx
import pytest

from lprc.core.files.digest import sha256


@pytest.fixture(scope="module")
def built(tmp_path_factory, bundled, plates):
    """A small int8 artefact and the calibration images that it was made with."""
    from lprc.compiler.compile.calibration import ImageSamples
    from lprc.compiler.compile.model import compile_model
    from lprc.compiler.compile.request import compile_request
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import BY_MODEL

    folder = tmp_path_factory.mktemp("built")
    images = folder / "calib"
    images.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:8]:
        shutil.copy(image, images)
    samples = ImageSamples(images, BY_MODEL, load(bundled), "model")
    settings = {"calibration": samples, "inputs": samples[:32]}
    compile_model(compile_request(bundled, "ov-int8", folder / "out", **settings))
    return folder


@pytest.fixture
def artefact(built, tmp_path):
    return shutil.copytree(built / "out", tmp_path / "artefact")


def test_a_whole_artefact(lprc, artefact):
    done = lprc("verify", artefact)
    assert "model.xml" in done.stdout
    assert "altered" not in done.stdout
    assert lprc("verify", artefact / "manifest.json", "-q").stdout == ""


def break_missing(folder):
    (folder / "model.bin").unlink()


def break_altered(folder):
    data = bytearray((folder / "model.bin").read_bytes())
    data[100] ^= 1
    (folder / "model.bin").write_bytes(data)


def break_truncated(folder):
    (folder / "lowered.onnx").write_bytes(b"")


def break_extra(folder):
    (folder / "model.bin.bak").write_text("")


def break_folder(folder):
    (folder / "model.bin").unlink()
    (folder / "model.bin").mkdir()


@pytest.mark.parametrize(
    ("damage", "name", "state"),
    [
        (break_missing, "model.bin", "missing"),
        (break_altered, "model.bin", "altered"),
        (break_truncated, "lowered.onnx", "altered"),
        (break_extra, "model.bin.bak", "unlisted"),
        (break_folder, "model.bin", "missing"),
    ],
)
def test_a_damaged_artefact(lprc, artefact, damage, name, state):
    damage(artefact)
    # Numbers are not looked at where the files are wrong already.
    done = lprc("verify", artefact, "--numerics", "--json", check=False)
    assert done.returncode == 3
    assert f"'{name}' is {state}" in done.stderr
    document = json.loads(done.stdout)
    assert not document["ok"]
    assert document["files"][name] == state
    assert document["outputs"] == []
    assert lprc("sbom", artefact, check=False).returncode == 3


def test_numerics(lprc, artefact, bundled, tmp_path):
    inputs = tmp_path / "x.npz"
    image = np.random.default_rng(0).standard_normal((2, 3, 24, 94)).astype(np.float32)
    name = onnx.load(bundled).graph.input[0].name
    np.savez(inputs, **{name: image})
    done = lprc("verify", artefact, "--numerics", "--inputs", inputs, "--source", bundled, "--json")
    document = json.loads(done.stdout)
    (delta,), (from_source,) = document["outputs"], document["source_outputs"]
    assert delta["max_abs"] < from_source["max_abs"]


def test_numerics_find_another_network(lprc, artefact):
    """One whose hashes are right, because its maker put them right."""
    path = artefact / "lowered.onnx"
    model = onnx.load(path)
    scale = next(
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims == []
    )
    scale.CopyFrom(
        onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) * np.float32(3), scale.name)
    )
    onnx.save(model, path)
    manifest = json.loads((artefact / "manifest.json").read_text())
    manifest["files"]["lowered.onnx"] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    (artefact / "manifest.json").write_text(json.dumps(manifest))
    lprc("verify", artefact)
    done = lprc("verify", artefact, "--numerics", check=False)
    assert done.returncode == 5
    assert "are not the lowered graph's" in done.stderr


def test_reproduce(lprc, built, artefact, bundled):
    done = lprc(
        "verify", artefact, "--reproduce", "--source", bundled, "--calib", built / "calib", "--json"
    )
    found = json.loads(done.stdout)["reproduction"]
    assert found == {
        "lowered_same": True,
        "files_same": {"model.xml": True, "model.bin": True},
        "tools": [],
        "outputs_checked": True,
    }


def test_reproduce_with_other_versions(lprc, built, artefact, bundled):
    """The versions that differ are named, and do no harm where the bytes are the same."""
    path = artefact / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["tools"] |= {"onnx": "1.0", "acme": "7"}
    path.write_text(json.dumps(manifest))
    arguments = ["--reproduce", "--source", bundled, "--calib", built / "calib"]
    done = lprc("verify", artefact, *arguments)
    assert f"onnx 1.0, now {onnx.__version__}" in done.stdout
    assert "acme 7, now not installed" in done.stdout
    manifest["pipeline"] = manifest["pipeline"].replace("fold-bn,", "")
    path.write_text(json.dumps(manifest))
    done = lprc("verify", artefact, *arguments, check=False)
    assert done.returncode == 5
    assert "gives another lowered.onnx" in done.stderr
    assert "install what it was built with: acme 7, now not installed; onnx 1.0" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--reproduce"], 2, "--source MODEL"),
        (["--inputs", "x.npz"], 2, "goes with --numerics"),
        (["--source", "m.onnx"], 2, "goes with --numerics, --reproduce or --prove"),
        (["--calib", "d"], 2, "goes with --numerics, --reproduce or --prove"),
        (["--dim", "a=3"], 2, "goes with --numerics"),
        (["--numerics", "--dim", "a=3"], 2, "has no symbolic dimension 'a'"),
        (["--reproduce", "--source", "SMALL"], 3, "not the model"),
        (["--reproduce", "--source", "BUNDLED"], 8, "was made with 8 samples"),
        (["--reproduce", "--source", "BUNDLED", "--calib", "OTHER"], 8, "and these have"),
        (["--numerics", "--inputs", "OTHER"], 8, "no .npz or .npy files in it"),
    ],
)
def test_refusals(lprc, artefact, small, bundled, built, tmp_path, arguments, code, message):
    other = tmp_path / "other"
    other.mkdir()
    for image in sorted((built / "calib").iterdir())[1:]:
        shutil.copy(image, other)
    shutil.copy(next(other.iterdir()), other / "again.jpg")
    places = {"SMALL": small, "BUNDLED": bundled, "OTHER": other}
    done = lprc("verify", artefact, *(places.get(each, each) for each in arguments), check=False)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_a_bill_of_materials(lprc, artefact, tmp_path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = lprc("sbom", artefact).stdout
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    lprc("sbom", artefact / "manifest.json", "-o", tmp_path / "bom.json")
    assert (tmp_path / "bom.json").read_text() == text
    bill, manifest = json.loads(text), json.loads((artefact / "manifest.json").read_text())
    assert uuid.UUID(bill["serialNumber"].removeprefix("urn:uuid:"))
    assert "timestamp" not in bill["metadata"]
    component = bill["metadata"]["component"]
    assert component["type"] == "machine-learning-model"
    assert component["modelCard"]["modelParameters"]["datasets"] == [{"ref": "calibration"}]
    hashes = {
        each["name"]: each["hashes"][0]["content"]
        for each in [*component["components"], *bill["components"]]
        if "hashes" in each
    }
    assert hashes == {
        **{name: listed["sha256"] for name, listed in manifest["files"].items()},
        manifest["source"]["name"]: manifest["source"]["sha256"],
        "calibration data": manifest["calibration"]["sha256"],
    }
    urls = {each["purl"] for each in bill["components"] if "purl" in each}
    assert f"pkg:pypi/onnx@{onnx.__version__}" in urls
    assert any(each.startswith("pkg:pypi/openvino@") for each in urls)
    manifest["warnings"] = ["one more"]
    (artefact / "manifest.json").write_text(json.dumps(manifest))
    assert json.loads(lprc("sbom", artefact).stdout)["serialNumber"] != bill["serialNumber"]


def test_no_library(artefact, monkeypatch):
    import sys

    from lprc.compiler.artifact.sbom import sbom
    from lprc.core.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "cyclonedx.output.json", None)
    with pytest.raises(MissingDependencyError, match=r"lprc\[sbom\]"):
        sbom(artefact)
