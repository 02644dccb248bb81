"""The manifest says what was built from what, in the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lprc.compiler.artifact import manifest_schema
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.artifact.build_inputs import images_sha256
from lprc.compiler.artifact.manifest import delta_document, is_artefact, read_manifest
from lprc.compiler.artifact.manifest_file import MAX_BYTES
from lprc.compiler.artifact.manifest_schema import Manifest, json_schema, schema_text
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import InvalidModelError
from lprc.core.files.digest import sha256
from lprc.core.running.numerics import OutputDelta
from lprc.models.plate_config import PlateConfig

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) { a = Identity(x) y = Relu(a) }"""


EXAMPLE = Path(__file__).parents[1] / "manifest_example.json"
"""A manifest with something in every place."""

SCHEMA_FILE = Path(manifest_schema.__file__).with_name("manifest.schema.json")
"""The schema for other programs."""


@pytest.fixture
def folder(tmp_path):
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    compile_model(
        compile_request(
            tmp_path / "m.onnx", "onnx", tmp_path / "out", passes="infer-shapes,eliminate-identity"
        )
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


SHA = "0" * 64
LISTED = {"sha256": SHA, "bytes": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": None}, "files: must be an object"),
        ({"deployed": None}, "deployed: must be a list"),
        ({"files": {"..": LISTED}}, "files...: '..' is not the name of a file"),
        ({"files": {"/etc/passwd": LISTED}}, "'/etc/passwd' is not the name of a file"),
        ({"files": {"a/b": LISTED}}, "'a/b' is not the name of a file"),
        ({"files": {"a": {"sha256": SHA.upper() + "g", "bytes": 1}}}, "is not a SHA-256 in hex"),
        ({"files": {"a": {"sha256": SHA, "bytes": -1}}}, "files.a.bytes: must be at least 0"),
        ({"files": {"a\n": LISTED}}, "'a\\n' is not the name of a file"),
        ({"files": {"a" * 300: LISTED}}, "longer than 255 characters"),
        ({"deployed": ["../model.onnx"]}, "deployed.0: '../model.onnx' is not the name of a file"),
        ({"deployed": ["unlisted.onnx"]}, "'unlisted.onnx' is deployed and not listed"),
        ({"runtime": ["onnxruntime"]}, "runtime: must be a string"),
        ({"runtime": "acme"}, "unknown runtime 'acme'"),
        ({"schema": "3"}, "not a manifest of schema 3"),
        ({"schema": True}, "not a manifest of schema 3"),
        ({"schema": 2}, "not a manifest of schema 3 but of 2 .compile it again"),
        ({"schema": 4}, "not a manifest of schema 3"),
        ({"more": 1}, "manifest.json: unknown key 'more'"),
        ({"build": {"emit": "onnx", "verify": "off"}}, "build: key 'seed' is missing"),
        ({"passes": [1]}, "passes.0: must be an object"),
    ],
)
def test_a_manifest_that_lies(folder, change, message):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(
        InvalidModelError, match=re.escape(message).replace(r"\ \.", ".*")
    ) as caught:
        open_artifact(folder)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "can't be read"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "can't be read"),
        (b"[]", "not a manifest of schema 3"),
        (b"null", "not a manifest of schema 3"),
    ],
)
def test_a_manifest_that_is_none(folder, content, message):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(InvalidModelError, match=message):
        read_manifest(folder)
    assert not is_artefact(folder)


def test_a_manifest_larger_than_any_is_not_read(folder):
    with (folder / "manifest.json").open("r+b") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(InvalidModelError, match="it is larger than"):
        read_manifest(folder)


def test_an_artefact_of_an_earlier_version_may_be_replaced(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 2}))
    assert is_artefact(folder)


def test_the_schema_is_one_and_what_is_written_obeys_it(folder):
    found = json.loads((folder / "manifest.json").read_text())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(found, json_schema())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_model_says_what_jsonschema_says(data):
    """On a manifest of which one part, anywhere, became something else."""
    document = json.loads(EXAMPLE.read_text())
    holder, key = data.draw(st.sampled_from(list(places(document))))
    holder[key] = data.draw(
        st.sampled_from([None, True, -1, 1, 1.5, "", "x", "../x", SHA, [], ["x"], {}, {"x": 1}])
    )
    assert is_manifest(document) == jsonschema.Draft202012Validator(json_schema()).is_valid(
        document
    )


@pytest.mark.parametrize("name", ["model.onnx", "..", ".", "a/b", "", "x" * 256, ".hidden", "a\\b"])
def test_names_are_those_of_the_schema(name):
    document = json.loads(EXAMPLE.read_text())
    document["files"][name] = LISTED
    assert is_manifest(document) == jsonschema.Draft202012Validator(json_schema()).is_valid(
        document
    )


def is_manifest(document) -> bool:
    try:
        Manifest.model_validate(document)
    except ValidationError:
        return False
    return True


def places(document):
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield document, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def test_the_schema_for_other_programs_is_made_from_the_model():
    """Else write it anew: ``python -m lprc.compiler.artifact.manifest_schema``."""
    assert SCHEMA_FILE.read_text("utf-8") == schema_text()


def test_what_went_in_is_hashed(tmp_path):
    source = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), source)
    samples = [{"x": np.full((1, 2), value, np.float32)} for value in (1, 2)]

    def build(name, **changes):
        given = {"calibration": samples, **changes}
        compile_model(compile_request(source, "onnx", tmp_path / name, emit="onnx", **given))
        return read_manifest(tmp_path / name)

    first = build("a")
    assert first["calibration"]["samples"] == 2
    assert first["build"] == {"emit": "onnx", "verify": "final", "seed": 0}
    assert build("b") == first
    other = build("c", calibration=samples[::-1])
    assert other["calibration"]["sha256"] != first["calibration"]["sha256"]
    assert other["config_sha256"] == first["config_sha256"]
    seeded = build("d", seed=1, calibration=())
    assert seeded["calibration"] is None
    assert seeded["config_sha256"] != first["config_sha256"]


def test_the_order_of_a_folder_and_its_place_do_not_matter(tmp_path, plates):
    config = PlateConfig.named("synthetic").input
    images = sorted(plates.glob("*.jpg"))[:4]
    (tmp_path / "copy").mkdir()
    copies = [Path(shutil.copy(path, tmp_path / "copy")) for path in images]
    digest = images_sha256(images, config)
    assert images_sha256(reversed(copies), config) == digest
    assert images_sha256(images[1:], config) != digest
    copies[0].write_bytes(images[1].read_bytes())
    assert images_sha256(copies, config) != digest
    other = config.changed(scale=(1.0,))
    assert images_sha256(images, other) != digest


def test_external_weights_are_hashed(tmp_path):
    model = onnx.parser.parse_model(
        """<ir_version: 9, opset_import: ["" : 18]>
        g (float[N,2] x) => (float[N,2] y) <float[2] w = {1,2}> { y = Mul(x, w) }"""
    )
    for tensor in model.graph.initializer:
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1, 2], np.float32), tensor.name))
    onnx.save(
        model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    compile_model(compile_request(tmp_path / "m.onnx", "onnx", tmp_path / "out", emit="onnx"))
    weights = read_manifest(tmp_path / "out")["source"]["weights"]
    assert weights == {"w.bin": {"sha256": sha256(tmp_path / "w.bin"), "bytes": 8}}


def test_accuracy_is_told(tmp_path, bundled, plates):
    compiled = compile_model(
        compile_request(bundled, "ort-fp32", tmp_path / "out", emit="onnx", data=plates)
    )
    accuracy = read_manifest(tmp_path / "out")["metrics"]["accuracy"]
    assert accuracy["value"] == compiled.evaluation.accuracy
    assert accuracy["total"] == len(list(plates.glob("*.jpg")))
    assert compiled.evaluation.artefact == str(tmp_path / "out")
