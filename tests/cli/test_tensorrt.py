"""TensorRT on the command line: options, exit codes, and what can't be measured without a GPU."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from engines import QUANTIZED, saved

from lprc.core.targets.runtimes import runtime

CALIB = Path(__file__).parents[2] / "models" / "synthetic_plates" / "calib"


@pytest.fixture
def _no_gpu():
    if runtime("tensorrt").obstacle() is None:
        pytest.skip("this machine runs TensorRT engines")


def needs_tensorrt_rtx():
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")


def refused(done, code, *texts):
    assert done.returncode == code, done.stderr
    for text in texts:
        assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def engine(bundled, tmp_path_factory):
    """The bundled model's int8 engine, and what the command line said of it."""
    needs_tensorrt_rtx()
    out = tmp_path_factory.mktemp("engine") / "out"
    command = [
        sys.executable, "-m", "lprc", "compile", bundled, "--target", "trt-int8", "-o", out,
        "--calib", CALIB, "--task", "synthetic", "--verify", "off",
        "-O", "compute-capability=86,89", "-O", "batch=1/2/4",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out, done


def test_options_reach_the_engine(engine):
    out, done = engine
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["options"] == {"batch": ["1/2/4"], "compute-capability": ["86", "89"]}
    assert manifest["emitter"]["compute_capabilities"] == ["86", "89"]
    assert "model.engine" in done.stdout


def test_the_table_of_precisions(engine):
    out, done = engine
    counts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["emitter"]["operators"]
    rows = [line.split() for line in done.stdout.splitlines()]
    for name, each in counts.items():
        assert [name, str(each["all"]), str(each["asked"]), str(each["int8"])] in rows
    assert counts["Conv"]["int8"] > 0


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize("command", ["eval", "bench"])
def test_an_engine_is_not_measured_without_a_gpu(lprc, engine, plates, command):
    data = ["--data", plates] if command == "eval" else []
    for name in (engine[0], engine[0] / "model.engine"):
        done = lprc(command, name, *data, check=False)
        refused(done, 7, "NVIDIA GPU", str(engine[0] / "lowered.onnx"))


@pytest.mark.usefixtures("_no_gpu")
@pytest.mark.parametrize("measure", ["--data", "--bench", "--guard"])
def test_what_can_not_be_measured_is_refused_before_any_work(lprc, tmp_path, plates, measure):
    """Even before the model is read: there is none."""
    options = [measure, plates] if measure == "--data" else [measure]
    done = lprc(
        "compile", tmp_path / "missing.onnx", "--target", "trt-int8", "-o", tmp_path / "out",
        *options, check=False,
    )  # fmt: skip
    refused(done, 7, measure, "NVIDIA GPU", "hint: ")
    assert "missing.onnx" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_lowered_graph_is_measured_instead(lprc, bundled, plates, tmp_path):
    done = lprc(
        "compile", bundled, "--target", "trt-fp16", "-o", tmp_path / "out", "--emit", "onnx",
        "--calib", CALIB, "--task", "synthetic", "--data", plates, "--json",
    )  # fmt: skip
    before, after = (row["accuracy"] for row in json.loads(done.stdout)["comparison"])
    assert after >= before - 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-O", "batch=4/1/8"], "batch must be least/usual/greatest"),
        (["-O", "bach=1/1/8"], "did you mean 'batch'?"),
        (["-O", "batch"], "^"),
        (["-O", "batch=1/1/8", "-O", "batch=1/1/4"], "option 'batch' is given twice"),
        (["-O", "compute-capability=8.6"], "as in 86 for 8.6"),
        (["-O", "runtime=cuda"], "auto|rtx|enterprise"),
        (["-O", "profile=x"], "profile must be NAME:least/usual/greatest"),
    ],
)
def test_options_that_have_no_meaning(lprc, small, tmp_path, options, message):
    done = lprc(
        "compile", small, "--target", "trt-fp32", "-o", tmp_path / "out", *options, check=False
    )
    refused(done, 2, message)
    assert not (tmp_path / "out").exists()


def test_targets_without_options_say_so(lprc, small, tmp_path):
    done = lprc(
        "compile", small, "--target", "ort-fp32", "-o", tmp_path / "out", "-O", "batch=1/1/8",
        check=False,
    )  # fmt: skip
    refused(done, 2, "unknown option 'batch'", "it has no options")
    assert not (tmp_path / "out").exists()


def test_no_kit(lprc, small, tmp_path):
    done = lprc(
        "compile", small, "--target", "ort-fp32", "-o", tmp_path / "out", "--emit", "kit",
        check=False,
    )  # fmt: skip
    refused(done, 2, "target 'ort-fp32' has no kit", "--emit onnx")


def test_options_are_documented(lprc):
    document = json.loads(lprc("targets", "trt-int8", "--json").stdout)
    assert [each["name"] for each in document["options"]] == [
        "runtime", "compute-capability", "batch", "profile", "workspace", "unmet", "verbosity",
        "time-limit",
    ]  # fmt: skip
    assert document["kit"] is True
    text = lprc("targets", "trt-int8").stdout
    for each in document["options"]:
        assert each["name"] in text


def test_a_kit_and_its_line(lprc, small, tmp_path):
    out = tmp_path / "kit"
    document = json.loads(
        lprc("compile", small, "--target", "trt-fp32", "-o", out, "--emit", "kit", "--json").stdout
    )
    assert document["emitter"]["trtexec"].startswith("trtexec --onnx=lowered.onnx ")
    assert (out / "SHA256SUMS").is_file()


def test_a_missing_sdk(lprc, small, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("enterprise TensorRT is installed")
    done = lprc(
        "compile", small, "--target", "trt-fp32", "-o", tmp_path / "out", "-O",
        "runtime=enterprise", check=False,
    )  # fmt: skip
    refused(
        done, 7, "tensorrt is not installed", "--extra-index-url https://pypi.nvidia.com",
        "--emit kit",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_an_illegal_graph(lprc, small, tmp_path):
    model = onnx.load(small)
    model.graph.node[2].op_type = "Det"
    model.graph.node[2].name = "the_node"
    onnx.save(model, small)
    done = lprc("compile", small, "--target", "trt-fp32", "-o", tmp_path / "out", check=False)
    refused(done, 4, "the_node", "TensorRT has no such operator", "hint: ")
    assert not (tmp_path / "out").exists()


def test_what_tensorrt_refuses(lprc, small, tmp_path):
    needs_tensorrt_rtx()
    model = onnx.load(small)
    node = model.graph.node[2]
    node.op_type, node.name = "LpPool", "the_node"
    node.attribute.extend(
        [onnx.helper.make_attribute("kernel_shape", [1, 1]), onnx.helper.make_attribute("p", 3)]
    )
    onnx.save(model, small)
    done = lprc("compile", small, "--target", "trt-fp32", "-o", tmp_path / "out", check=False)
    refused(done, 4, "the_node", "Only L1 and L2 normalization are supported", "hint: ")
    assert not (tmp_path / "out").exists()


def test_a_warning_is_for_people_too(lprc, tmp_path):
    """Silently float on compute capability 7.5."""
    needs_tensorrt_rtx()
    source = saved(QUANTIZED, tmp_path / "q.onnx")
    arguments = [
        "compile", source, "--target", "trt-int8", "-o", tmp_path / "out", "--quantized", "keep",
        "-O", "compute-capability=75",
    ]  # fmt: skip
    refused(lprc(*arguments, check=False), 4, "node 'conv' (Conv", "the engine reads Float")
    assert not (tmp_path / "out").exists()
    done = lprc(*arguments, "-O", "unmet=warn")
    assert "warning: node 'conv' (Conv" in done.stderr
    assert "TensorRT has no int8 kernel for it on this GPU" in " ".join(done.stdout.split())
