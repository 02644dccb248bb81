"""The Python API: what it takes, what it gives, that it is quiet, and that threads may share it."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import shutil
import subprocess
import sys
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import lprc
from lprc.core import errors

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) <float[2] w = {1,-2}> {
  [mul] a = Mul(x, w) [same] b = Identity(a) [relu] y = Relu(b) }"""
X = {"x": np.array([[1, 2], [3, -4]], np.float32)}
Y = np.array([[1, 0], [3, 8]], np.float32)


@pytest.fixture
def proto():
    return onnx.parser.parse_model(TEXT)


@pytest.fixture
def path(proto, tmp_path):
    onnx.save(proto, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_everything_is_there():
    assert set(lprc.__all__) <= set(dir(lprc))
    for name in lprc.__all__:
        assert getattr(lprc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'compiel'"):
        lprc.compiel  # noqa: B018
    with pytest.raises(AttributeError):
        lprc.open_artifact  # noqa: B018
    assert callable(open)  # ours is only an attribute of the module


def test_import_is_fast_and_light():
    code = "import time; t = time.perf_counter(); import lprc; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 0.1


@pytest.mark.parametrize("name", ["compile", "optimize", "diff", "evaluate", "bench", "load"])
def test_functions_are_typed_and_documented(name):
    function = getattr(lprc, name)
    hints = typing.get_type_hints(function)
    assert "return" in hints
    assert function.__doc__
    code = function.__code__
    assert set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) < set(hints)


@pytest.mark.parametrize("kind", ["path", "text", "proto", "ir"])
def test_models_of_all_kinds(path, proto, tmp_path, kind, capfd):
    model = {"path": path, "text": str(path), "proto": proto, "ir": lprc.load(path)}[kind]
    before = proto.SerializeToString()
    artifact = lprc.compile(model, "ort-fp32", out=tmp_path / "out")
    np.testing.assert_allclose(artifact.run(X)["y"], Y)
    assert artifact.manifest["source"]["name"] in ("m.onnx", "model.onnx")
    assert proto.SerializeToString() == before
    if isinstance(model, ir.Model):
        assert [node.op_type for node in model.graph] == ["Mul", "Identity", "Relu"]
    assert capfd.readouterr() == ("", "")


def test_no_model(tmp_path):
    with pytest.raises(lprc.UsageError, match="not int") as caught:
        lprc.compile(3, "onnx", out=tmp_path / "out")
    assert caught.value.option == "model"
    with pytest.raises(lprc.InvalidModelError) as missing:
        lprc.load(tmp_path / "none.onnx")
    assert missing.value.path == tmp_path / "none.onnx"


def test_a_temporary_artefact_lives_as_long_as_its_object(path):
    artifact = lprc.compile(path, "onnx", emit="onnx")
    folder = artifact.path
    assert (folder / "lowered.onnx").is_file()
    del artifact
    gc.collect()
    assert not folder.parent.exists()


def test_a_temporary_folder_does_not_outlive_a_failure(path, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    with pytest.raises(lprc.UsageError):
        lprc.compile(path, "onnx", options={"no_such": 1})
    assert list((tmp_path / "scratch").iterdir()) == []


def samples(count=16):
    generator = np.random.default_rng(0)
    return [{"x": generator.standard_normal((1, 2)).astype(np.float32)} for _ in range(count)]


class Streamed(typing.Sequence):
    """Samples that are made when they are looked at."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return samples()[index]


def test_calibration_of_all_kinds(path, tmp_path):
    kinds = {"list": samples(), "iterator": iter(samples()), "sequence": Streamed()}
    found = {
        name: lprc.compile(path, "ort-int8", out=tmp_path / name, calibration=kind).manifest
        for name, kind in kinds.items()
    }
    assert found["list"] == found["iterator"] == found["sequence"]
    assert found["list"]["calibration"]["samples"] == 16
    with pytest.raises(lprc.UsageError, match="put it into a list"):
        lprc.compile(path, "ort-int8", calibration=samples()[0])
    with pytest.raises(lprc.DataError, match="holds list"):
        lprc.compile(path, "ort-int8", calibration=iter([[1, 2]]))


def test_a_folder_of_images_as_on_the_command_line(bundled, plates, tmp_path):
    some = tmp_path / "plates"
    some.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:8]:
        shutil.copy(image, some)
    steps = []
    artifact = lprc.compile(
        bundled, "ort-int8", out=tmp_path / "api", calibration=some, emit="onnx",
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps
    assert steps[-1][0] == steps[-1][1]
    command = [sys.executable, "-m", "lprc", "compile", str(bundled), "--target", "ort-int8"]
    command += ["--calib", str(some), "--emit", "onnx", "-o", str(tmp_path / "cli"), "-q"]
    subprocess.run(command, check=True)
    for file in artifact.path.iterdir():
        assert file.read_bytes() == (tmp_path / "cli" / file.name).read_bytes()


def test_optimize(path, proto):
    model, report = lprc.optimize(proto, lprc.Pipeline.parse("infer-shapes,eliminate-identity"))
    assert [node.op_type for node in model.graph] == ["Mul", "Relu"]
    assert report.records[1].changed
    assert len(proto.graph.node) == 3
    same, _ = lprc.optimize(path, "infer-shapes,eliminate-identity", verify="each")
    assert [node.name for node in same.graph] == [node.name for node in model.graph]
    with pytest.raises(lprc.UsageError) as caught:
        lprc.optimize(path, "infer-shapes", verify="sometimes")
    assert caught.value.option == "verify"


def test_optimize_keeps_external_weights(tmp_path):
    """Of a model in memory, whose temporary file is gone afterwards."""
    proto = onnx.parser.parse_model(TEXT)
    (tensor,) = proto.graph.initializer
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1, -2], np.float32), tensor.name))
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    model, _ = lprc.optimize(lprc.load(tmp_path / "m.onnx"), "infer-shapes")
    (tmp_path / "w").unlink()
    lprc.save(model, tmp_path / "o.onnx")
    np.testing.assert_array_equal(lprc.open(tmp_path / "o.onnx").run(X)["y"], Y)


def test_save(proto, tmp_path):
    lprc.save(proto, tmp_path / "a.onnx")
    lprc.save(lprc.load(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    lprc.save(lprc.load(tmp_path / "b.onnx"), tmp_path / "c.onnx")
    assert (tmp_path / "b.onnx").read_bytes() == (tmp_path / "c.onnx").read_bytes()


def test_diff(path):
    model, _ = lprc.optimize(path, "eliminate-identity")
    found = lprc.diff(path, model)
    assert [each.node.name for each in found.removed] == ["same"]
    assert lprc.diff(path, path).same
    html = found._repr_html_()
    assert html.startswith('<iframe srcdoc="')
    assert html.count("<") == 2  # the page is an attribute's value


def test_artifacts(path, tmp_path):
    artifact = lprc.compile(path, "ort-fp32", out=tmp_path / "out")
    opened = lprc.open(tmp_path / "out")
    assert opened == artifact
    artifact.run(X)
    for other in (pickle.loads(pickle.dumps(artifact)), copy.deepcopy(artifact)):
        assert other == artifact
        np.testing.assert_array_equal(other.run(X)["y"], Y)
    with pytest.raises(lprc.DataError, match=r"given inputs 'z'.*it takes 'x'"):
        artifact.run({"z": X["x"]})
    with ThreadPoolExecutor(4) as pool:
        for outputs in pool.map(lambda _: artifact.run(X), range(40)):
            np.testing.assert_array_equal(outputs["y"], Y)


def test_bench_and_evaluate(bundled, plates, tmp_path):
    some = tmp_path / "plates"
    some.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:5]:
        shutil.copy(image, some)
    shutil.copy(plates / "labels.csv", some) if (plates / "labels.csv").exists() else None
    artifact = lprc.open(bundled)
    if not (some / "labels.csv").exists():
        assert lprc.evaluate(artifact, some).total == 5
    rows = lprc.bench(bundled, artifact, rounds=10, warmup=1, threads=1)
    assert [row.backend for row in rows] == ["ort", "ort"]


def test_a_notebook_shows_no_ones_markup(path, tmp_path):
    proto = onnx.load(path)
    proto.graph.output[0].name = proto.graph.node[2].output[0] = "<script>alert(1)</script>"
    folder = tmp_path / "<b>out"
    html = lprc.compile(proto, "onnx", out=folder)._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "infer-shapes" in html
    assert "<table" in lprc.open(path)._repr_html_()


def test_results_are_tables_in_a_notebook(path, bundled, plates, tmp_path):
    _, report = lprc.optimize(path, "infer-shapes,eliminate-identity")
    assert "<td style='text-align:left'>eliminate-identity</td>" in report._repr_html_()
    rows = lprc.bench(path, path, rounds=10, warmup=1, threads=1)
    assert rows._repr_html_().count("<tr>") == 3
    shutil.copy(sorted(plates.glob("*.jpg"))[0], tmp_path / "picture.jpg")
    (tmp_path / "labels.csv").write_text("file,label\npicture.jpg,WRNG\n")
    reading = lprc.evaluate(bundled, tmp_path)._repr_html_()
    assert "0 of 1 plates" in reading
    assert "<td style='text-align:left'>WRNG</td>" in reading


@pytest.mark.parametrize("target", ["ov-fp32", "ort-int8"])
def test_threads(bundled, plates, tmp_path, target):
    """Several at once give the bytes that one alone does, and leave the process as it was."""
    some = tmp_path / "plates"
    some.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:8]:
        shutil.copy(image, some)

    def build(name):
        artifact = lprc.compile(bundled, target, out=tmp_path / "o" / name, calibration=some)
        return {path.name: path.read_bytes() for path in artifact.path.iterdir()}

    alone = build("alone")
    before = os.umask(0o022), Path.cwd(), gc.isenabled()
    os.umask(before[0])
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(build, map(str, range(4))):
            assert found == alone
    after = os.umask(0o022), Path.cwd(), gc.isenabled()
    os.umask(after[0])
    assert after == before
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["0", "1", "2", "3", "alone"]


def test_threads_that_want_the_same_folder(path, tmp_path):
    """The last one wins; none sees half of it."""

    def build(seed):
        lprc.compile(path, "onnx", out=tmp_path / "out", seed=seed, emit="onnx")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(12)))
    assert lprc.open(tmp_path / "out").manifest["build"]["seed"] in range(12)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.onnx", "out"]


ALL = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, errors.LprcError)
]


@pytest.mark.parametrize("kind", ALL)
def test_errors_are_copied_whole(kind):
    error = kind(
        "what", where="where", hint="hint", node="n", pass_name="p", option="o", path=Path("f")
    )
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert vars(other) == vars(error)
        assert str(other) == "where: what (hint)"
    document = error.document()
    assert (document["error"], document["exit_code"]) == (kind.__name__, kind.exit_code)
    assert (document["node"], document["path"]) == ("n", "f")
    assert "node" not in kind("what").document()


def test_errors_say_which(path, proto, tmp_path):
    with pytest.raises(lprc.UsageError) as usage:
        lprc.optimize(path, "infer-shapes,set-batch{size=1}")
    assert (usage.value.pass_name, usage.value.option) == ("set-batch", "size")
    with pytest.raises(lprc.UsageError) as unknown:
        lprc.compile(path, "tensorrt-fp32", options={"no-such": "1"})
    assert unknown.value.option == "no-such"
    with pytest.raises(lprc.DataError) as data:
        lprc.optimize(path, "infer-shapes,calibrate")
    assert data.value.pass_name == "calibrate"
    proto.graph.node[2].domain = "acme"
    proto.opset_import.add(domain="acme", version=1)
    onnx.save(proto, path)
    with pytest.raises(lprc.IllegalForTargetError) as illegal:
        lprc.compile(path, "ort-fp32", emit="onnx")
    assert (illegal.value.node, illegal.value.path) == ("relu", path)
    assert illegal.value.hint
