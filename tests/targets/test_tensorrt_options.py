"""What the options of the TensorRT targets take, refuse and mean."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest
from engines import SMALL, emitted, saved, texts

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.options import from_texts, option_texts
from lprc.targets.tensorrt_options import TensorRTOptions


def read(**options):
    return from_texts(TensorRTOptions, texts(options), "target 'mine'")


def test_the_defaults():
    options = read()
    assert options.compute_capabilities == []
    assert options.batch_sizes == (1, 1, 8)
    assert (options.shapes, options.workspace, options.unmet) == ({}, None, "fail")
    assert option_texts(options) == {}


def test_all_of_them():
    given = texts(
        {
            "runtime": "rtx",
            "compute_capability": ("86", "120"),
            "batch": "2/4/6",
            "profile": ("a:1x2/1x3/1x4", "b:0:5/5/5"),
            "workspace": "64",
            "unmet": "warn",
            "verbosity": "info",
            "time_limit": "5",
        }
    )
    options = from_texts(TensorRTOptions, given, "target 'mine'")
    assert options.compute_capabilities == ["86", "120"]
    assert options.batch_sizes == (2, 4, 6)
    # A colon may be in a name too.
    assert options.shapes == {"a": [(1, 2), (1, 3), (1, 4)], "b:0": [(5,), (5,), (5,)]}
    assert (options.workspace, options.time_limit) == (64, 5)
    assert option_texts(options) == given


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("batch", "4", "batch must be least/usual/greatest as in 1/4/8, not '4'"),
        ("batch", "1/4", "not '1/4'"),
        ("batch", "8/4/1", "not '8/4/1'"),
        ("batch", "1/8/4", "not '1/8/4'"),
        ("batch", "0/1/8", "not '0/1/8'"),
        ("batch", "1/4/8/", "not '1/4/8/'"),
        ("batch", "-1/4/8", "not '-1/4/8'"),
        ("batch", "1/4/10000000000", "not '1/4/10000000000'"),
        ("compute_capability", "8.6", "must be auto or as in 86 for 8.6, not '8.6'"),
        ("compute_capability", "sm86", "not 'sm86'"),
        ("compute_capability", "0", "not '0'"),
        ("compute_capability", ("auto", "86"), "not 'auto'"),
        ("compute_capability", ("86", "86"), "different numbers"),
        ("compute_capability", "none", "must be auto or different numbers"),
        ("workspace", "0", "workspace must be from 1 to 16777216 MiB"),
        ("workspace", "16777217", "workspace must be from 1 to 16777216 MiB"),
        ("workspace", "1GB", "'1GB' is not of type"),
        ("time_limit", "0", "time-limit must be from 1 to 31536000 s"),
        ("time_limit", "31536001", "time-limit must be from 1 to 31536000 s"),
        ("runtime", "trt", "'trt' is not of type auto|rtx|enterprise"),
        ("verbosity", "loud", "is not of type quiet|warning|info|verbose"),
        ("unmet", "ignore", "is not of type fail|warn"),
        ("profile", "1x3", "profile must be NAME:least/usual/greatest"),
        ("profile", "x:1x3/2x3", "not 'x:1x3/2x3'"),
        ("profile", ":1/1/1", "not ':1/1/1'"),
        ("profile", "x:1x3/2x3/2x3x1", "not 'x:1x3/2x3/2x3x1'"),
        ("profile", "x:2x3/1x3/4x3", "not 'x:2x3/1x3/4x3'"),
        ("profile", "x:1x0/1x0/1x0", "not 'x:1x0/1x0/1x0'"),
        ("profile", "x:1x-1/1x1/1x1", "not 'x:1x-1/1x1/1x1'"),
        ("profile", ("x:1/1/1", "x:2/2/2"), "profile names an input twice"),
    ],
)  # fmt: skip
def test_what_has_no_meaning(key, value, message):
    with pytest.raises(UsageError) as caught:
        read(**{key: value})
    assert message in str(caught.value)
    assert str(caught.value).startswith("target 'mine'")


def test_an_unknown_option_is_said_before_any_work(tmp_path):
    with pytest.raises(UsageError, match=r"unknown option 'work-space' \(did you mean 'workspace'"):
        compile_model(
            compile_request(
                tmp_path / "missing.onnx",
                "trt-fp32",
                tmp_path / "out",
                options={"work-space": ("1",)},
            )
        )


@pytest.fixture
def without(monkeypatch):
    """Modules that are not installed."""

    def hide(*names, spec=None):
        real = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, package=None: spec if name in names else real(name, package),
        )

    return hide


VENDOR = "pip install tensorrt --extra-index-url https://pypi.nvidia.com"


@pytest.mark.parametrize(
    ("runtime", "module", "install"),
    [
        ("rtx", "tensorrt_rtx is not installed", 'pip install "lprc[tensorrt]"'),
        ("enterprise", "tensorrt is not installed", VENDOR),
        ("auto", "tensorrt_rtx or tensorrt is not installed", VENDOR),
    ],
)
def test_a_missing_sdk_is_said_before_any_work(tmp_path, without, runtime, module, install):
    without("tensorrt_rtx", "tensorrt")
    with pytest.raises(MissingDependencyError) as caught:
        compile_model(
            compile_request(
                tmp_path / "missing.onnx",
                "trt-fp32",
                tmp_path / "out",
                options={"runtime": (runtime,)},
            )
        )
    assert caught.value.exit_code == 7
    assert caught.value.message == module
    assert install in caught.value.hint
    assert "--emit kit" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_that_name_is_no_sdk(without):
    """Such as the one that somebody keeps engines in, where Python looks for modules."""
    without("tensorrt", spec=ModuleSpec("tensorrt", None, is_package=True))
    with pytest.raises(MissingDependencyError, match="tensorrt is not installed"):
        read(runtime="enterprise").check("engine")


def test_one_of_the_two_is_enough(without):
    without("tensorrt_rtx", "tensorrt", spec=ModuleSpec("tensorrt", None, origin="tensorrt.py"))
    read(runtime="enterprise").check("engine")
    read().check("engine")


def test_without_an_sdk_the_graph_and_the_kit_can_be_made(tmp_path, without):
    without("tensorrt_rtx", "tensorrt")
    graph = saved(SMALL, tmp_path / "m.onnx")
    for emit, name in (("onnx", "lowered.onnx"), ("kit", "build_engine.py")):
        emitted(graph, "trt-fp32", tmp_path / emit, emit=emit, runtime="enterprise")
        assert (tmp_path / emit / name).is_file()
