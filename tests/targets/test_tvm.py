"""TVM artefacts: what is written, that it runs, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pytest

from lprc.cli.settings import check_runs
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import (
    IllegalForTargetError,
    InvalidModelError,
    MissingDependencyError,
    UsageError,
)
from lprc.core.onnx_io.model_io import load
from lprc.core.process.worker import WorkerError
from lprc.core.running.numerics import RunError, Session
from lprc.core.targets.target import target as find_target
from lprc.core.tasks.task_file import task_choice
from lprc.targets.tvm_backend.versions import check_versions

pytest.importorskip("tvm", reason="TVM is not installed")

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y, float[N,4,8,8] z) <float[4,4,3,3] w = {WEIGHTS}> {
  [conv] c = Conv<kernel_shape=[3,3],pads=[1,1,1,1]>(x, w)
  [relu] y = Relu(c)
  [neg] z = Neg(y)
}"""


@pytest.fixture
def source(tmp_path):
    values = ",".join(f"{(index % 7 - 3) / 4}" for index in range(144))
    onnx.save(onnx.parser.parse_model(TEXT.replace("WEIGHTS", values)), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def options(**texts):
    return {key.replace("_", "-"): (value,) for key, value in texts.items()}


@pytest.fixture
def artefact(source):
    folder = source.parent / "out"
    compile_model(compile_request(source, "tvm-fp32", folder))
    return folder


def test_it_is_written_runs_and_says_what_it_is(artefact):
    names = sorted(path.name for path in artefact.iterdir())
    assert names == [
        "interface.json", "load_model.cpp", "load_model.py", "lowered.onnx", "manifest.json",
        "model.so", "passes.json",
    ]  # fmt: skip
    manifest = json.loads((artefact / "manifest.json").read_text())
    assert manifest["deployed"] == ["model.so", "interface.json"]
    assert [kernel["kind"] for kernel in manifest["emitter"]["kernels"]].count("conv") == 1
    assert "LegalizeOps" in manifest["emitter"]["passes"]
    assert max(delta["max_abs"] for delta in manifest["artefact"]) < 1e-5


def test_outputs_by_name(artefact):
    runner = open_artifact(artefact).runner()
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    found, wanted = runner.run({"x": x}), Session(artefact / "lowered.onnx").run({"x": x})
    assert list(found) == ["y", "z"]
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5)
    with pytest.raises(RunError, match=r"input 'x' is 2x4x8x8; the module is compiled for 1x4x8x8"):
        runner.run({"x": np.zeros((2, 4, 8, 8), np.float32)})


def test_the_same_bytes_each_time(source, artefact, tmp_path):
    compile_model(compile_request(source, "tvm-fp32", tmp_path / "again"))
    for path in artefact.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_examples_run(artefact):
    done = subprocess.run(
        [sys.executable, artefact / "load_model.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["y (1, 4, 8, 8) float32", "z (1, 4, 8, 8) float32"]


ONE_OUTPUT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y) { y = Relu(x) }"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_cpp_example_builds_and_runs(tmp_path):
    import tvm
    import tvm_ffi

    onnx.save(onnx.parser.parse_model(ONE_OUTPUT), tmp_path / "m.onnx")
    folder = tmp_path / "out"
    compile_model(compile_request(tmp_path / "m.onnx", "tvm-fp32", folder))
    roots = [Path(module.__file__).parent for module in (tvm, tvm_ffi)]
    paths = [f"-I{root}/include" for root in roots] + [f"-L{root}/lib" for root in roots]
    search = ":".join(f"{root}/lib" for root in roots)
    program = tmp_path / "load_model"
    command = ["g++", "-std=c++17", folder / "load_model.cpp", "-o", program, *paths]
    command += ["-ltvm_runtime", "-ltvm_ffi", f"-Wl,-rpath,{search}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    done = subprocess.run(
        [program, folder / "model.so", "1", "4", "8", "8"], capture_output=True, text=True
    )
    assert done.stdout == "output: 1 4 8 8\nfirst value: 0\n", done.stderr


def test_objects_for_another_machine(source, tmp_path):
    out = tmp_path / "out"
    arm = options(triple="aarch64-linux-gnu", mcpu="cortex-a72", num_cores="4")
    compiled = compile_model(compile_request(source, "tvm-fp32", out, options=arm))
    assert compiled.emitted.warnings == ["not run: it is for aarch64-linux-gnu"]
    with tarfile.open(out / "model.tar") as archive:
        archive.extractall(tmp_path / "objects", filter="data")
    for path in (tmp_path / "objects").iterdir():
        head = path.read_bytes()[:20]
        assert head[:4] == b"\x7fELF"
        assert int.from_bytes(head[16:18], "little") == 1, "relocatable"
        assert int.from_bytes(head[18:20], "little") == 183, "AArch64"
    with pytest.raises(InvalidModelError, match=r"model\.tar: it holds objects for another"):
        open_artifact(out).runner()


ARM = {"triple": ("aarch64-linux-gnu",), "mcpu": ("cortex-a72",)}


def test_what_runs_elsewhere_is_not_measured(source, tmp_path):
    """Neither by the guard, nor behind a search for layers: it is refused before any work."""
    with pytest.raises(MissingDependencyError, match="measured: it is for aarch64-linux-gnu"):
        compile_request(source, "tvm-int8", tmp_path / "out", options=ARM, guard=True)
    with pytest.raises(MissingDependencyError, match="measured: it is for aarch64-linux-gnu"):
        check_runs("tvm-fp32", "engine", ARM)
    check_runs("tvm-fp32", "onnx", ARM)


def test_a_search_for_layers_ends_where_the_library_can_not_run(tmp_path, bundled):
    plates = bundled.parent / "synthetic_plates"
    samples = ImageSamples(plates / "calib", task_choice("synthetic"), load(bundled), str(bundled))
    data = tmp_path / "data"
    shutil.copytree(plates / "test", data)
    keep = sorted(path for path in data.iterdir() if path.suffix == ".jpg")[:4]
    rows = (data / "labels.csv").read_text().splitlines()
    wanted = [row for row in rows if any(path.name in row for path in keep)]
    (data / "labels.csv").write_text("\n".join([rows[0], *wanted]) + "\n")
    for path in set(data.glob("*.jpg")) - set(keep):
        path.unlink()
    request = compile_request(
        bundled, "tvm-int8", tmp_path / "out", options=ARM, verify="off", calibration=samples[:8],
        data=data, max_accuracy_drop=1.0,
    )  # fmt: skip
    compiled = compile_model(request)
    assert compiled.search is not None
    assert compiled.emitted.report["plain"] is not None


def test_a_library_for_another_machine(artefact):
    library = artefact / "model.so"
    content = bytearray(library.read_bytes())
    content[18:20] = (183).to_bytes(2, "little")
    library.write_bytes(content)
    with pytest.raises(InvalidModelError, match=r"model\.so: it is for aarch64"):
        open_artifact(artefact).runner()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.so").write_bytes(b"no"), "not a shared library"),
        (lambda folder: (folder / "interface.json").write_text("{}"), "key 'inputs' is missing"),
        (
            lambda folder: (folder / "model.so").write_bytes(
                (folder / "model.so").read_bytes()[:4096]
            ),
            "it is cut off",
        ),
    ],
)
def test_damaged(artefact, change, message):
    change(artefact)
    with pytest.raises(InvalidModelError, match=message):
        open_artifact(artefact).runner()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"mcpu": "i386; rm"}, "mcpu is not one"),
        ({"mattr": "avx2"}, "mattr wants"),
        ({"tune_trials": "-1"}, "tune-trials must be at least 0"),
        ({"rpc_tracker": "here:9190"}, "belong together"),
        ({"rpc_tracker": "here", "rpc_key": "k"}, "must be HOST:PORT"),
        ({"triple": "aarch64-linux-gnu"}, "triple wants an mcpu"),
        (
            {"triple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "tune_trials": "8"},
            "measured there",
        ),
    ],
)
def test_options_that_mean_nothing(source, tmp_path, texts, message):
    with pytest.raises(UsageError, match=message):
        compile_model(
            compile_request(source, "tvm-fp32", tmp_path / "out", options=options(**texts))
        )
    assert not (tmp_path / "out").exists()


def test_an_unknown_cpu(source, tmp_path):
    with pytest.raises((UsageError, WorkerError), match="nosuchcpu"):
        compile_model(
            compile_request(source, "tvm-fp32", tmp_path / "out", options=options(mcpu="nosuchcpu"))
        )
    assert not (tmp_path / "out").exists()


def test_symbolic_sizes_are_refused(tmp_path):
    text = TEXT.replace("[N,4,8,8]", "[N,4,H,8]").replace("WEIGHTS", ",".join(["0"] * 144))
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(IllegalForTargetError, match=r"input 'x': its shape is not known") as caught:
        compile_model(compile_request(tmp_path / "m.onnx", "tvm-fp32", tmp_path / "out"))
    assert "--input-shape" in caught.value.hint
    compiled = compile_model(
        compile_request(
            tmp_path / "m.onnx", "tvm-fp32", tmp_path / "out", input_shapes={"x": (2, 4, 8, 8)}
        )
    )
    assert compiled.deltas
    assert compiled.emitted.warnings == []


def test_a_batch_that_the_pipeline_fixes_is_told(source, tmp_path):
    compiled = compile_model(compile_request(source, "tvm-fp32", tmp_path / "out"))
    assert compiled.artifact.manifest["warnings"] == [
        "input 'x' takes 1x4x8x8 only: its 'N' is 1 now; --input-shape fixes another size"
    ]


def test_the_rules_know_what_the_importer_does_not():
    from tvm.relax.frontend.onnx import onnx_frontend

    known = onnx_frontend._get_convert_map()
    schemas = [each for each in onnx.defs.get_all_schemas() if each.domain == ""]
    unknown = {each.name for each in schemas if known.get(each.name) is None}
    rules = {rule.rule: dict(rule.parameters) for rule in find_target("tvm-fp32").rules}
    refused = set(rules["refused-operators"]["refused"])
    assert refused - unknown == {"NonMaxSuppression"}  # no kernel behind it can be made
    newer = {each.name for each in schemas if each.since_version > 23}
    assert unknown - refused <= newer


def test_a_recurrent_network_is_refused_by_name(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[5,1,3] x) => (float[5,1,1,4] y) <float[1,16,3] w = {W}, float[1,16,4] r = {R}> {
      [gates] y = LSTM<hidden_size=4>(x, w, r)
    }""".replace("W", ",".join(["0"] * 48)).replace("R", ",".join(["0"] * 64), 1)
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(IllegalForTargetError, match=r"node 'gates' \(LSTM\): TVM compiles no such"):
        compile_model(compile_request(tmp_path / "m.onnx", "tvm-fp32", tmp_path / "out"))


def test_what_tvm_can_not_compile_is_named(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[1,9] x) => (float[1,3] y) <int64[1] k = {3}> {
      [first] a = Relu(x)
      [best] y, places = TopK(a, k)
    }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    with pytest.raises(WorkerError, match=r"TVM can't compile node 'best' \(TopK\): ") as caught:
        compile_model(compile_request(tmp_path / "m.onnx", "tvm-fp32", tmp_path / "out"))
    assert "ort-fp32" in caught.value.hint


def test_a_fixed_batch_stays(source, tmp_path):
    proto = onnx.parser.parse_model(
        TEXT.replace("[N,", "[3,").replace("WEIGHTS", ",".join(["1"] * 144))
    )
    onnx.save(proto, source)
    compile_model(compile_request(source, "tvm-fp32", tmp_path / "out"))
    assert open_artifact(tmp_path / "out").runner().inputs == {"x": (3, 4, 8, 8)}


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": "0.1.15.post2"}, "crashes with"),
        ({"apache-tvm": "0.19.0", "apache-tvm-ffi": "0.1.14"}, "not one that lprc knows"),
        ({"apache-tvm-ffi": "0.1.14"}, "apache-tvm is not installed"),
    ],
)
def test_versions_that_crash_are_refused_before_any_work(
    source, tmp_path, monkeypatch, versions, message
):
    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr("lprc.targets.tvm_backend.versions.version", version)
    with pytest.raises(MissingDependencyError, match=message) as caught:
        compile_model(compile_request(source, "tvm-fp32", tmp_path / "out"))
    assert "apache-tvm-ffi==0.1.14.post1" in caught.value.hint
    with pytest.raises(MissingDependencyError):
        check_versions()


def test_records_are_used_again(source, tmp_path):
    """The second compile measures nothing, and takes what the first has found."""
    database = str(tmp_path / "records")
    tuned = options(tune_trials="6", tuning_db=database, tune_workers="1")
    first = compile_model(compile_request(source, "tvm-fp32", tmp_path / "a", options=tuned))
    assert any(kernel["tuned"] for kernel in first.emitted.report["kernels"])
    report = json.loads((tmp_path / "a" / "tuning.json").read_text())
    assert report["measured"] >= 1
    again = compile_model(
        compile_request(source, "tvm-fp32", tmp_path / "b", options=options(tuning_db=database))
    )
    assert again.emitted.report["kernels"] == first.emitted.report["kernels"]
    assert not (tmp_path / "b" / "tuning.json").exists()


def test_real_plates_in_float32(lprnet_onnx, lprnet_data, tmp_path):
    compile_model(compile_request(lprnet_onnx, "tvm-fp32", tmp_path / "out", verify="off"))
    assert evaluate(tmp_path / "out", lprnet_data / "val").accuracy == pytest.approx(0.905)


def test_real_plates_in_int8(lowered, lprnet_data, tmp_path):
    """The lowered graph is calibrated already; its integer kernels read no float."""
    graph = lowered("lprnet_onnx", "tvm-int8")
    compiled = compile_model(compile_request(graph, "tvm-int8", tmp_path / "out", quantized="keep"))
    kinds = [kernel["kind"] for kernel in compiled.emitted.report["kernels"]]
    assert (kinds.count("integer_conv"), kinds.count("conv")) == (16, 0)
    assert evaluate(tmp_path / "out", lprnet_data / "val").accuracy >= 0.9
