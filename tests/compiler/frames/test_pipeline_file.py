"""A pipeline file is read strictly: whatever is wrong is told with the file and the key."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from lprc.compiler.frames.pipeline_file import json_schema
from lprc.compiler.frames.read_pipeline import FramePipeline, read_pipeline
from lprc.core.errors import DataError
from lprc.core.files.toml_text import parse_toml

TWO = """
[models.detector]
model = "detector.onnx"
target = "ov-int8"
task = "plate-detector"
calib = "frames"
embed = ["preprocessing"]

[models.reader]
model = "reader.onnx"
task = "own.toml"

[[edges]]
from = "detector"
to = "reader"
margin = [0.06, 0.12]
rectify = "min-area-rectangle"
min-size = [16, 6]
min-score = 0.4
classes = ["plate"]
top-k = 4
"""
PLAIN = '[models.a]\nmodel = "detector.onnx"\n[models.b]\nmodel = "detector.onnx"\n'
EDGE = '[[edges]]\nfrom = "a"\nto = "b"\n'


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str) -> FramePipeline:
        for name in ("detector.onnx", "reader.onnx", "other.toml"):
            (tmp_path / name).touch()
        (tmp_path / "folder").mkdir(exist_ok=True)
        path = tmp_path / "street.toml"
        path.write_text(text, encoding="utf-8")
        return read_pipeline(path)

    return read_text


def test_a_file_is_read_with_paths_from_its_folder(read, tmp_path: Path):
    pipeline = read(TWO)
    assert pipeline.name == "street"
    assert pipeline.file.order == ("detector", "reader")
    assert pipeline.file.first == "detector"
    (edge,) = pipeline.file.edges_from("detector")
    assert (edge.source, edge.to, edge.margin, edge.min_size) == (
        "detector",
        "reader",
        (0.06, 0.12),
        (16, 6),
    )
    assert (edge.min_score, edge.classes, edge.top_k) == (0.4, ("plate",), 4)
    assert pipeline.model("reader") == tmp_path / "reader.onnx"
    assert pipeline.task("detector") == "plate-detector"
    assert pipeline.task("reader") == str(tmp_path / "own.toml")
    assert pipeline.calib("detector") == tmp_path / "frames"
    assert pipeline.calib("reader") is None


def test_models_stand_behind_those_whose_boxes_they_read(read):
    text = PLAIN + '[models.c]\nmodel = "reader.onnx"\n[models.d]\nmodel = "reader.onnx"\n'
    edges = [("c", "a"), ("a", "b"), ("d", "c")]
    text += "".join(f'[[edges]]\nfrom = "{one}"\nto = "{other}"\n' for one, other in edges)
    assert read(text).file.order == ("d", "c", "a", "b")


def test_one_model_needs_no_edge(read):
    assert read('[models.a]\nmodel = "detector.onnx"\n').file.order == ("a",)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "street.toml", "key 'models' is missing"),
        ("[models]\n", "models", "must not be empty"),
        ("models = 3\n", "models", "must be a table"),
        ("[models.a]\n", "models.a", "key 'model' is missing"),
        ('[models."a/b"]\nmodel = "detector.onnx"\n', "models.a/b", "must match"),
        (PLAIN.replace("model =", "modle =", 1) + EDGE, "models.a", "unknown key 'modle'"),
        (PLAIN + EDGE + "top_k = 3\n", "edges.0", "unknown key 'top_k'"),
        (PLAIN + EDGE + "margin = [0.1]\n", "edges.0.margin", ""),
        (PLAIN + EDGE + "top-k = 0\n", "edges.0.top-k", "must be at least 1"),
        (PLAIN + EDGE + 'rectify = "guess"\n', "edges.0.rectify", "must be 'none'"),
        (PLAIN + EDGE.replace('"a"', '"aa"'), "edges.0.from", "there is no [models.aa]"),
        (PLAIN + EDGE.replace('"b"', '"c"'), "edges.0.to", "there is no [models.c]"),
        (PLAIN, "models.b", "one model reads the frame"),
        (PLAIN + EDGE + EDGE, "edges.1.to", "has an edge into it already, edges.0"),
        (PLAIN + EDGE.replace('"b"', '"a"'), "edges.0.to", "make a cycle"),
        (
            PLAIN + EDGE + '[[edges]]\nfrom = "b"\nto = "a"\n',
            "edges.1.to",
            "make a cycle",
        ),
        ('[models.a]\nmodel = "street.toml"\n', "models.a.model", "is a file of settings"),
        ('[models.a]\nmodel = "other.toml"\n', "models.a.model", "is a file of settings"),
        ('[models.a]\nmodel = "no.onnx"\n', "models.a.model", "'no.onnx' is missing"),
        (
            '[models.a]\nmodel = "folder"\ntarget = "ov-int8"\n',
            "models.a.target",
            "this model is compiled already",
        ),
        ("= 3", "street.toml", "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, text: str, where: str, message: str):
    with pytest.raises(DataError) as raised:
        read(text)
    assert str(raised.value.where).endswith(where)
    assert message in raised.value.message


def test_an_unknown_name_gets_a_suggestion(read):
    with pytest.raises(DataError) as raised:
        read(TWO.replace('from = "detector"', 'from = "detektor"'))
    assert raised.value.hint == "did you mean 'detector'? known: detector, reader"


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="can't be read"):
        read_pipeline(tmp_path / "none.toml")


def test_the_schema_takes_the_file_and_refuses_another():
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(parse_toml(TWO))
    assert not validator.is_valid(parse_toml(TWO + "nonsense = 1\n"))
    assert not validator.is_valid({})
    json.dumps(schema)
