"""Artefacts open if they are whole; anything else is named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import DataError, InvalidModelError
from lprc.core.files.digest import sha256
from lprc.core.running.numerics import RunError

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g ({inputs}) => (float[N,4] y) {{ a = Relu({first}) y = Neg(a) }}"""


def model(tmp_path, inputs="float[N,4] x", first="x"):
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT.format(inputs=inputs, first=first)), path)
    return path


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A model and its artefact; not to be written to."""
    place = tmp_path_factory.mktemp("compiled")
    compile_model(compile_request(model(place), "ov-fp32", place / "out"))
    return place


@pytest.fixture
def folder(compiled, tmp_path):
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    return tmp_path / "out"


def test_a_folder_and_its_files_run_alike(folder):
    x = np.array([[1, -2, 3, -4]], np.float32)
    for name in (
        folder,
        folder / "model.xml",
        folder / "lowered.onnx",
        f"{folder / 'lowered.onnx'}@openvino",
    ):
        y = open_artifact(name).runner(threads=1).run({"x": x})["y"]
        np.testing.assert_array_equal(y, [[-1, 0, -3, 0]])
    assert open_artifact(folder).size_bytes == sum(
        (folder / name).stat().st_size for name in ("model.xml", "model.bin")
    )


def test_the_manifest_tells_the_truth(folder, tmp_path):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"]["sha256"] == sha256(tmp_path / "m.onnx")
    for name, entry in manifest["files"].items():
        assert entry["sha256"] == sha256(folder / name)
    assert set(manifest["files"]) == {"lowered.onnx", "model.bin", "model.xml", "passes.json"}


def edit(folder, change):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.bin").unlink(), "'model.bin' is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "no manifest.json in it"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "can't be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "not a manifest of schema 3"),
        (lambda folder: edit(folder, lambda m: m.update(schema=99)), "not a manifest of schema 3"),
        (lambda folder: edit(folder, lambda m: m.update(runtime="tvn")), "unknown runtime 'tvn'"),
        (
            lambda folder: edit(
                folder,
                lambda m: m.update(
                    files={**m["files"], "../m.onnx": {}}, deployed=[*m["deployed"], "../m.onnx"]
                ),
            ),
            "'../m.onnx' is not the name of a file in the folder",
        ),
        (lambda folder: (folder / "model.xml").write_text("<net>"), "OpenVINO can't load it"),
    ],
)
def test_damaged(folder, change, message):
    change(folder)
    with pytest.raises(InvalidModelError, match=message):
        open_artifact(folder).runner()


def test_no_such_file(tmp_path):
    with pytest.raises(InvalidModelError, match="no such file or folder"):
        open_artifact(tmp_path / "none.onnx")


def test_bench_makes_inputs_of_the_right_type(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (uint8[N,4] x, bool[N,1] c) => (float[N,4] y) { a = Cast<to=1>(x) b = Neg(a) y = Where(c, a, b) }"""
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    rows = bench([path, f"{path}@openvino"], rounds=2, warmup=1)
    assert all(row.min_ms <= row.median_ms <= row.p95_ms for row in rows)


def test_bench_makes_up_unknown_sizes_and_says_so(tmp_path):
    path = model(tmp_path, "float[N,M] x")
    with pytest.raises(RunError, match=r"can't run it: .*invalid dimensions for output: y"):
        bench([path], rounds=1)
    onnx.save(_open_output(path), path)
    (row,) = bench([path], rounds=1)
    assert row.invented == {"M": row.shapes["x"][1]}


def _open_output(path):
    proto = onnx.load(path)
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "M"
    return proto


def test_evaluate_wants_one_image_in_and_one_output(tmp_path, plates):
    with pytest.raises(DataError, match=r"a model is for that has inputs 'x' \[\?, 4\]"):
        evaluate(model(tmp_path), plates)


PLATE_LIKE = """<ir_version: 9, opset_import: ["" : 18]>
g (float[{batch},3,{height},94] x) => (float[{batch},{classes},1] y)
<float[{classes},3,1,1] w, int64[1] axes = {{2}}> {{
    a = Conv(x, w) b = GlobalAveragePool(a) y = Squeeze(b, axes)
}}"""


def plate_like(tmp_path, *, batch="N", height=24, classes=34):
    proto = onnx.parser.parse_model(
        PLATE_LIKE.format(batch=batch, height=height, classes=classes).replace(
            f"float[{classes},3,1,1] w, ", ""
        )
    )
    weight = np.random.default_rng(0).standard_normal((classes, 3, 1, 1)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(proto, tmp_path / "p.onnx")
    return tmp_path / "p.onnx"


@pytest.mark.parametrize("wrong", [{"height": 25}, {"classes": 35}])
def test_evaluate_finds_no_alphabet(tmp_path, plates, wrong):
    with pytest.raises(DataError, match="nothing tells what a model is for"):
        evaluate(plate_like(tmp_path, **wrong), plates)


def test_evaluate_fills_a_fixed_batch(tmp_path, plates):
    few = tmp_path / "few"
    few.mkdir()
    names = [line.split(",")[0] for line in (plates / "labels.csv").read_text().splitlines()[1:6]]
    for name in names:
        shutil.copy(plates / name, few / name)
    rows = [
        line
        for line in (plates / "labels.csv").read_text().splitlines()
        if line.split(",")[0] in names
    ]
    (few / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    fixed = evaluate(plate_like(tmp_path, batch=4), few)
    free = evaluate(plate_like(tmp_path), few)
    assert fixed.total == 5
    assert fixed.document()["wrong"] == free.document()["wrong"]
