"""The manifest says what was built from what, in the same bytes each time."""

from __future__ import annotations

import hashlib
import json

import onnx
import pytest

from lprc.compiler.artifact import open_artifact
from lprc.compiler.compile import compile_model
from lprc.compiler.manifest import delta_document, is_artefact, read_manifest
from lprc.core.digest import sha256
from lprc.core.errors import InvalidModelError
from lprc.core.numerics import OutputDelta

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) { a = Identity(x) y = Relu(a) }"""


@pytest.fixture
def folder(tmp_path):
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    compile_model(
        tmp_path / "m.onnx", "onnx", tmp_path / "out", passes="infer-shapes,eliminate-identity"
    )
    return tmp_path / "out"


def test_what_it_says(folder, tmp_path):
    found = read_manifest(folder)
    source = (tmp_path / "m.onnx").read_bytes()
    assert found["source"] == {
        "name": "m.onnx",
        "sha256": hashlib.sha256(source).hexdigest(),
        "bytes": len(source),
    }
    assert found["pipeline"] == "infer-shapes,eliminate-identity"
    assert [(each["pass"], each["rewrites"]) for each in found["passes"]][1] == (
        "eliminate-identity",
        1,
    )
    assert [each["output"] for each in found["artefact"]] == ["y"]
    assert found["tools"]["onnx"] == onnx.__version__
    assert str(tmp_path) not in json.dumps(found)


def test_sha256_of_a_file_larger_than_a_block(tmp_path):
    data = bytes(range(256)) * 8192
    (tmp_path / "x").write_bytes(data)
    assert sha256(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_differences_as_data():
    assert delta_document(OutputDelta("y", 1.0, 0.5, 2.0)) == {
        "output": "y",
        "max_abs": 1.0,
        "mean_abs": 0.5,
        "magnitude": 2.0,
    }
    assert delta_document(OutputDelta("y", 0, 0, 0, "is gone")) == {
        "output": "y",
        "mismatch": "is gone",
    }


def test_only_a_whole_folder_of_ours_is_ours(folder):
    assert is_artefact(folder)
    (folder / "more.txt").write_text("x")
    assert not is_artefact(folder)
    (folder / "more.txt").unlink()
    (folder / "model.onnx").unlink()
    assert is_artefact(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": None}, "it lists no files"),
        ({"deployed": None}, "it lists no files"),
        ({"files": {"..": {}}, "deployed": [".."]}, "is missing"),
        ({"files": {"/etc/passwd": {}}, "deployed": ["/etc/passwd"]}, "a file outside its folder"),
        ({"deployed": ["unlisted.onnx"]}, "names a file outside its folder"),
        ({"runtime": ["onnxruntime"]}, "unknown runtime"),
        ({"schema": "1"}, "not a manifest of schema 2"),
    ],
)
def test_a_manifest_that_lies(folder, change, message):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidModelError, match=message):
        open_artifact(folder)


def test_a_manifest_that_is_no_text(folder):
    (folder / "manifest.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidModelError, match=r"manifest\.json: can't be read"):
        read_manifest(folder)
