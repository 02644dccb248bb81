"""The same code builds with TensorRT 10 and 11.

NVIDIA's `tensorrt` can't be installed here: its libraries are not on PyPI, and it needs a GPU. What
runs is the stand-in of `enterprise.py`, TensorRT-RTX behind that name with its differences. It shows
that we ask for nothing that is not there; not that those versions do what they document.
"""

from __future__ import annotations

import enterprise
import numpy as np
import onnx
import pytest
from engines import QUANTIZED, SMALL, emitted, layers, saved
from vendors import lead_path

from lprc.core.errors import IllegalForTargetError, UsageError
from lprc.core.graph.weight_sparsity import weights
from lprc.core.onnx_io import model_io

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")


@pytest.fixture(autouse=True)
def _tensorrt(tmp_path_factory, monkeypatch):
    folder = enterprise.install(tmp_path_factory.mktemp("vendor") / "site")
    monkeypatch.syspath_prepend(folder)
    lead_path(monkeypatch, folder)


@pytest.fixture
def build(tmp_path, monkeypatch):
    def build(variant="", text=QUANTIZED, target="trt-int8", **options):
        monkeypatch.setenv("FAKE_TENSORRT", variant)
        source = saved(text, tmp_path / "m.onnx")
        out = tmp_path / "out"
        return emitted(source, target, out, runtime="enterprise", **options), out

    return build


@pytest.mark.parametrize(
    ("variant", "version"),
    [
        ("", "10.13.0.1"),
        ("silent old-parser", "10.13.0.1"),
        ("separate", "10.13.0.1"),
        ("untyped", "11.0.0.1"),
        ("untyped separate silent old-parser", "11.0.0.1"),
    ],
)
def test_an_int8_engine(build, variant, version):
    compiled, out = build(variant)
    report = compiled.emitted.report
    assert (report["runtime"], report["version"]) == ("tensorrt", version)
    assert report["operators"] == {"Conv": {"all": 1, "asked": 1, "int8": 1}}
    assert report["profiles"] == {"x": [[1, 4, 8, 8], [1, 4, 8, 8], [8, 4, 8, 8]]}
    (convolution,) = [each for each in layers(out) if each["type"] == "CaskConvolution"]
    assert "conv" in convolution["nodes"]
    assert (out / "model.engine").stat().st_size > 1000


@pytest.mark.parametrize(("target", "kind"), [("trt-fp32", "Float"), ("trt-fp16", "Half")])
def test_float_engines(build, target, kind):
    text = SMALL if target == "trt-fp32" else SMALL.replace("float[", "float16[")
    text = text if target == "trt-fp32" else text.replace("0.5, 0.25, 1.5, -0.5", "5, 2, 1, -5")
    compiled, _ = build(text=text, target=target)
    (conv,) = compiled.emitted.report["float"]
    assert conv["reads"] == [kind]


def test_layers_that_it_does_not_tell_of_are_not_taken_for_int8(build, tmp_path):
    with pytest.raises(IllegalForTargetError, match="the engine reads nothing that it names"):
        build("blind")
    compiled, _ = build("blind", unmet="warn")
    (conv,) = compiled.emitted.report["float"]
    assert conv["why"] == "no layer of the engine says that it stands for it"


def test_it_builds_for_the_gpu_that_it_runs_on(build, tmp_path):
    with pytest.raises(UsageError) as caught:
        build(compute_capability="86")
    assert caught.value.where == "compute-capability"
    assert caught.value.message == "tensorrt builds for the GPU that it runs on, not for 86"
    assert caught.value.hint == "leave compute-capability out, or use TensorRT-RTX"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("variant", ["", "old-parser"])
def test_what_its_parser_refuses(build, variant):
    text = SMALL.replace("y = Relu (c)", "y = AffineGrid (c, c)").replace(
        "[N,4,8,8] y", "[A,B,C,D] y"
    )
    with pytest.raises(IllegalForTargetError, match=r"node 'relu' \(AffineGrid\)"):
        build(variant, text=text, target="trt-fp32")


def sparse_model(path):
    """Two Convs, whose weights have two zeros in each four input channels."""
    model = onnx.parser.parse_model(SMALL)
    array = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    array[:, 1:3] = 0
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    onnx.save(model, path)
    return path


def test_sparse_weights(tmp_path):
    """TensorRT-RTX takes no advantage of them, and that is said."""
    source = sparse_model(tmp_path / "m.onnx")
    report = emitted(
        source, "trt-sparse-fp16", tmp_path / "enterprise", runtime="enterprise"
    ).emitted.report
    assert report["sparse"] is True
    with pytest.raises(IllegalForTargetError) as caught:
        emitted(source, "trt-sparse-fp16", tmp_path / "rtx", runtime="rtx")
    assert "tensorrt_rtx" in caught.value.message
    assert "takes no advantage of sparse weights" in caught.value.message
    assert caught.value.hint == ("build with -O runtime=enterprise or --emit kit, or -O unmet=warn")
    assert not (tmp_path / "rtx").exists()
    warned = emitted(
        source, "trt-sparse-fp16", tmp_path / "rtx", runtime="rtx", unmet="warn"
    ).emitted
    assert warned.report["sparse"] is False
    assert any("takes no advantage of sparse weights" in text for text in warned.warnings)


def test_a_sparse_kit(tmp_path):
    source = sparse_model(tmp_path / "m.onnx")
    report = emitted(source, "trt-sparse-fp16", tmp_path / "kit", emit="kit").emitted.report
    assert "--sparsity=enable" in report["trtexec"].split()
    assert '"sparse": true' in (tmp_path / "kit" / "build.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["trt-sparse-fp16", "trt-sparse-int8"])
def test_dense_weights_are_refused(tmp_path, target):
    with pytest.raises(IllegalForTargetError) as caught:
        emitted(saved(SMALL, tmp_path / "m.onnx"), target, tmp_path / "out", unmet="warn")
    assert "too few weights have two zeros in each four input channels" in caught.value.message
    assert "0 of 1 weights, 0% of their elements; 50% is wanted" in caught.value.message
    assert "sparsify needs input channels in multiples of 4" in caught.value.hint


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("target", ["trt-sparse-fp16", "trt-sparse-int8"])
def test_the_whole_pipeline_keeps_a_pattern_or_makes_one(tmp_path, target, dense):
    from lprc.compiler.compile.model import compile_model
    from lprc.compiler.compile.request import compile_request

    source = saved(SMALL, tmp_path / "m.onnx") if dense else sparse_model(tmp_path / "m.onnx")
    generator = np.random.default_rng(0)
    samples = [{"x": generator.standard_normal((1, 4, 8, 8), np.float32)} for _ in range(16)]
    compiled = compile_model(
        compile_request(
            source,
            target,
            tmp_path / "out",
            options={"runtime": ("enterprise",)},
            calibration=samples,
        )
    )
    assert compiled.emitted.report["sparse"] is True
    (found,) = weights(model_io.load(tmp_path / "out" / "lowered.onnx"))
    assert found.has_pattern(2, 4)
    if not dense:
        assert not found.array[:, 1:3].any()
