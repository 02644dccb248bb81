"""TorchScript and AOTInductor artefacts: what is written, that it runs, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import InvalidModelError, MissingDependencyError, UsageError
from lprc.core.onnx_io.model_io import load
from lprc.core.process.worker import WorkerError
from lprc.core.running.numerics import RunError, Session

torch = pytest.importorskip("torch", reason="torch is not installed")

TARGETS = ("torchscript-fp32", "aoti-fp32")

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y, float[N,4,8,8] z) <float[4,4,3,3] w = {WEIGHTS}> {
  [conv] c = Conv<kernel_shape=[3,3],pads=[1,1,1,1]>(x, w)
  [relu] y = Relu(c)
  [neg] z = Neg(y)
}"""

QUANTIZED = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,4,8,8] x) => (float[N,4,8,8] y)
<float xs = {0.02}, int8 xz = {3}, float rs = {0.05}, uint8 rz = {0}, float[4] ws = {0.01, 0.02, 0.03, 0.04},
 int8[4] wz = {0, 0, 0, 0}, int8[4,4,3,3] w = {WEIGHTS}, int8[4,4,3,3] v = {OTHERS}, float[4] bias = {0.5, -0.5, 0.25, 0}> {
  q = QuantizeLinear(x, xs, xz)
  d = DequantizeLinear(q, xs, xz)
  k = DequantizeLinear<axis = 0>(w, ws, wz)
  [one] c = Conv<kernel_shape=[3,3],pads=[1,1,1,1]>(d, k, bias)
  r = Relu(c)
  rq = QuantizeLinear(r, rs, rz)
  rd = DequantizeLinear(rq, rs, rz)
  l = DequantizeLinear<axis = 0>(v, ws, wz)
  [two] y = Conv<kernel_shape=[3,3],pads=[1,1,1,1]>(rd, l)
}"""


def written(text, path, values):
    model = onnx.parser.parse_model(text.replace("WEIGHTS", ",".join(map(str, values))))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    values = [(index % 7 - 3) / 4 for index in range(144)]
    return written(TEXT, tmp_path_factory.mktemp("torch") / "m.onnx", values)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    values = [index * 37 % 255 - 127 for index in range(144)]
    others = ",".join(str(-value) for value in values)
    return written(
        QUANTIZED.replace("OTHERS", others), tmp_path_factory.mktemp("torch") / "q.onnx", values
    )


@pytest.fixture(scope="module", params=TARGETS)
def artefact(request, source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / request.param
    compile_model(compile_request(source, request.param, folder))
    return folder


def options(**texts):
    return {key.replace("_", "-"): (value,) for key, value in texts.items()}


@pytest.mark.parametrize("batch", [1, 3])
def test_every_batch_gives_what_the_source_gives(artefact, source, batch):
    x = np.random.default_rng(batch).standard_normal((batch, 4, 8, 8)).astype(np.float32)
    runner = open_artifact(artefact).runner()
    assert runner.inputs == {"x": (None, 4, 8, 8)}
    assert runner.dtypes == {"x": np.dtype("float32")}
    assert runner.outputs == ["y", "z"]
    outputs, wanted = runner.run({"x": x}), Session(load(source)).run({"x": x})
    for name, array in wanted.items():
        np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-5)
    assert runner.bound({"x": x})() is not None


def test_other_shapes_and_types_are_refused(artefact):
    runner = open_artifact(artefact).runner()
    with pytest.raises(RunError, match=r"float32 1x4x8x9; the file .* for float32 \?x4x8x8"):
        runner.run({"x": np.zeros((1, 4, 8, 9), np.float32)})
    with pytest.raises(RunError, match="float64"):
        runner.run({"x": np.zeros((1, 4, 8, 8))})


def test_nothing_of_this_machine_is_in_the_files(artefact, source):
    (file,) = [path for path in artefact.iterdir() if path.suffix in (".pt", ".pt2")]
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        texts = b"".join(map(archive.read, names))
    assert not [name for name in names if name.endswith((".debug_pkl", ".cpp"))]
    for place in (str(source.parent), "/lprc-", sys.prefix):
        assert place.encode() not in texts


def test_weights_are_packed_once_although_the_batch_is_open(artefact, tmp_path):
    if not (artefact / "model.pt2").is_file():
        pytest.skip("of compiled code only")
    program = """
        import sys, torch
        from torch._inductor import aoti_load_package
        package = aoti_load_package(sys.argv[1])
        for batch in (1, 3):
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                package(torch.ones(batch, 4, 8, 8))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(artefact / "model.pt2")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.count(",convolution,") == 2, done.stderr
    assert ",reorder," not in done.stdout


ONE_CHANNEL = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,1,8,8] x) => (float[N,32,8,8] y, float[N,8,1,1] z)
<float[32,1,3,3] w = {WEIGHTS}, float[32,1,3,3] v = {WEIGHTS}, float[8,32,1,1] u = {FEW}> {
  [first] c = Conv<kernel_shape=[3,3],pads=[1,1,1,1]>(x, w)
  [deep] y = Conv<kernel_shape=[3,3],pads=[1,1,1,1],group=32>(c, v)
  p = GlobalAveragePool(y)
  [pixel] z = Conv<kernel_shape=[1,1]>(p, u)
}"""


def test_convolutions_of_one_channel_of_groups_and_of_one_pixel_are_right(tmp_path):
    values = [(index * 37 % 101 - 50) / 50 for index in range(288)]
    text = ONE_CHANNEL.replace("FEW", ",".join(map(str, values[:256])))
    model = written(text, tmp_path / "m.onnx", values)
    compile_model(compile_request(model, "aoti-fp32", tmp_path / "out"))
    runner = open_artifact(tmp_path / "out").runner()
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 1, 8, 8)).astype(np.float32)
        wanted = Session(load(model)).run({"x": x})
        for name, array in runner.run({"x": x}).items():
            np.testing.assert_allclose(array, wanted[name], rtol=1e-4, atol=1e-4)


@pytest.mark.slow  # libtorch's headers
def test_it_is_run_without_python(artefact, tmp_path):
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    build = tmp_path / "build"
    prefix = f"-DCMAKE_PREFIX_PATH={torch.utils.cmake_prefix_path}"
    for command in (
        ["cmake", "-S", str(artefact), "-B", str(build), prefix],
        ["cmake", "--build", str(build)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
    (model,) = [path for path in artefact.iterdir() if path.suffix in (".pt", ".pt2")]
    done = subprocess.run(
        [str(build / "load_model"), str(model), "2", "4", "8", "8"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stdout.splitlines() == ["output: 2 4 8 8", "first value: 0"], done.stderr


def test_a_file_that_is_not_lprcs_is_refused(artefact, tmp_path):
    runtime = {".pt": "torchscript", ".pt2": "aoti"}
    (model,) = [path for path in artefact.iterdir() if path.suffix in runtime]
    broken = tmp_path / model.name
    broken.write_bytes(model.read_bytes()[:200])
    from lprc.core.running.runner import OpenJob
    from lprc.core.targets.runtimes import runtime as find_runtime

    with pytest.raises(InvalidModelError, match="can't load it"):
        find_runtime(runtime[model.suffix]).open(OpenJob(broken))


def test_a_trace_without_lprcs_names_is_refused(tmp_path):
    from lprc.core.running.runner import OpenJob
    from lprc.core.targets.runtimes import runtime as find_runtime

    bare = torch.jit.trace(torch.nn.Identity(), torch.zeros(1))
    torch.jit.save(bare, str(tmp_path / "bare.pt"))
    with pytest.raises(InvalidModelError, match="does not name its inputs and outputs"):
        find_runtime("torchscript").open(OpenJob(tmp_path / "bare.pt"))


def test_optimize_for_inference_runs_when_it_is_loaded(source, tmp_path):
    folder = tmp_path / "out"
    request = compile_request(source, "torchscript-fp32", folder, options=options(optimize="true"))
    compile_model(request)
    x = np.ones((2, 4, 8, 8), np.float32)
    outputs = open_artifact(folder).runner().run({"x": x})
    wanted = Session(load(source)).run({"x": x})
    np.testing.assert_allclose(outputs["y"], wanted["y"], rtol=1e-5, atol=1e-5)


def test_a_trace_that_is_right_for_one_size_only_is_refused(tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,4] x) => (float[M,4] y) <int64[1] one = {1}> {
      s = Shape<end = 1>(x)
      repeats = Concat<axis = 0>(s, one)
      y = Tile(x, repeats)
    }"""
    model = written(text, tmp_path / "m.onnx", ())
    with pytest.raises(WorkerError, match="the sizes of its sample only"):
        compile_model(compile_request(model, "torchscript-fp32", tmp_path / "out"))
    fixed = {"input_shapes": {"x": (3, 4)}}
    compile_model(compile_request(model, "torchscript-fp32", tmp_path / "out", **fixed))


@pytest.mark.parametrize("target", TARGETS)
def test_an_operator_without_a_form_in_torch_is_named(tmp_path, target):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[2,4] x) => (int64[2,N] y) { [odd] y = NonZero(x) }"""
    model = written(text, tmp_path / "m.onnx", ())
    with pytest.raises(WorkerError, match=r"NonZero has no form in torch here at .*odd"):
        compile_model(compile_request(model, target, tmp_path / "out"))


def test_a_missing_compiler_is_said_before_any_work(source, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    out = tmp_path / "out"
    with pytest.raises(MissingDependencyError, match="C\\+\\+ compiler") as refused:
        compile_request(source, "aoti-fp32", out)
    assert refused.value.exit_code == 7
    compile_request(source, "aoti-fp32", out, emit="onnx")
    compile_request(source, "torchscript-fp32", out)


@pytest.mark.parametrize(
    ("target", "texts"),
    [
        ("aoti-fp32", {"threads": "-1"}),
        ("aoti-fp32", {"time_limit": "0"}),
        ("torchscript-fp32", {"time_limit": "0"}),
        ("torchscript-fp32", {"freezing": "true"}),
    ],
)
def test_options_without_meaning_are_refused(source, tmp_path, target, texts):
    with pytest.raises(UsageError):
        compile_request(source, target, tmp_path / "out", options=options(**texts))


def test_stored_integers_are_computed_in_integers(quantized, tmp_path):
    folder = tmp_path / "out"
    compile_model(compile_request(quantized, "aoti-int8", folder, quantized="keep"))
    kernels = json.loads((folder / "manifest.json").read_text())["emitter"]["kernels"]
    assert kernels["integer convolution"] == 2
    assert "float convolution" not in kernels
    x = np.random.default_rng(0).standard_normal((3, 4, 8, 8)).astype(np.float32)
    outputs = open_artifact(folder).runner().run({"x": x})["y"]
    wanted = Session(load(quantized)).run({"x": x})["y"]
    # One step of the activation between the two, at most.
    assert np.abs(outputs - wanted).max() <= 0.05 * 127 * 0.04 + 1e-5
    assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.9999


def test_code_for_another_cpu_is_refused(artefact, tmp_path):
    from lprc.core.running.runner import OpenJob
    from lprc.core.targets.runtimes import runtime as find_runtime
    from lprc.targets.torch_backend.archive import rewrite_archive

    if not (artefact / "model.pt2").is_file():
        pytest.skip("of compiled code only")
    other = tmp_path / "model.pt2"
    shutil.copy(artefact / "model.pt2", other)

    def amx(name, data):
        return data.replace(b"AVX", b"OTHER AVX") if name.endswith("_metadata.json") else data

    rewrite_archive(other, amx)
    with pytest.raises(InvalidModelError, match=r"for a CPU with OTHER .*which this one has not"):
        find_runtime("aoti").open(OpenJob(other))
