"""A build that is killed, crashes, hangs or talks nonsense ends with an error and leaves nothing.

Vendor code is a module of this name in front of the real one.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time

import onnx_ir as ir
import pytest
from engines import SMALL, emitted, saved
from processes import start
from vendors import put_in_front

from lprc.core.errors import LprcError, MissingDependencyError
from lprc.core.process.worker import WorkerError
from lprc.targets.tensorrt_process import _error
from lprc.targets.tensorrt_scripts.cuda_device import MissingModule, tensorrt_module


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """Put a module `tensorrt_rtx` in front, here and in processes."""

    def install(code):
        put_in_front(monkeypatch, tmp_path / "vendor", tensorrt_rtx=code)
        monkeypatch.syspath_prepend(tmp_path / "vendor")

    return install


@pytest.fixture
def build(tmp_path):
    def build(**options):
        out = tmp_path / "work" / "out"
        out.parent.mkdir()
        source = saved(SMALL, tmp_path / "small.onnx")
        return emitted(source, "trt-fp32", out, **options)

    return build


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("code", "error", "code_of_exit", "texts"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            WorkerError,
            4,
            ["small.onnx: ", "TensorRT was ended by SIGKILL", "memory", "this machine has"],
        ),
        (
            "import os, sys; print('at last', file=sys.stderr, flush=True)\n"
            "import ctypes; ctypes.string_at(0)",
            WorkerError,
            4,
            ["TensorRT was ended by SIGSEGV"],
        ),
        (
            "import os, sys; print('terminate called', file=sys.stderr, flush=True); os.abort()",
            WorkerError,
            4,
            ["TensorRT was ended by SIGABRT", "terminate called"],
        ),
        ("raise MemoryError", WorkerError, 4, ["TensorRT failed: MemoryError"]),
        ("import sys; sys.exit(3)", WorkerError, 4, ["TensorRT failed: no message"]),
        ("import os; os._exit(0)", WorkerError, 4, ["TensorRT ended without a result"]),
        (
            "raise OSError('libcudart.so.13: cannot open shared object file')",
            MissingDependencyError,
            7,
            ["runtime: ", "tensorrt_rtx: libcudart.so.13"],
        ),
        (
            "raise ImportError('no libnvinfer')",
            MissingDependencyError,
            7,
            ["runtime: ", "tensorrt_rtx: no libnvinfer"],
        ),
    ],
    ids=["killed", "segfault", "abort", "memory", "exit-3", "exit-0", "libraries", "import"],
)
def test_vendor_code_that_ends_badly(vendor, build, tmp_path, code, error, code_of_exit, texts):
    vendor(code)
    with pytest.raises(LprcError) as caught:
        build()
    assert type(caught.value) is error
    assert caught.value.exit_code == code_of_exit
    for text in texts:
        assert text in str(caught.value)
    assert left(tmp_path) == []


def test_a_build_that_takes_too_long(vendor, build, tmp_path):
    pid = tmp_path / "pid"
    vendor(
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
        "print('a line without', end='', flush=True)\ntime.sleep(300)"
    )
    started = time.monotonic()
    with pytest.raises(WorkerError, match="TensorRT took more than 2 s") as caught:
        build(time_limit="2")
    assert time.monotonic() - started < 30
    assert caught.value.exit_code == 4
    assert left(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


TALKATIVE = r"""
import os, sys
os.write(1, b'\xff\xfe\x00 garbage\n[1, 2]\n{"step": null, "steps": {}}\n{"step": 1}\n17\n')
os.write(1, b'{"step": Infinity, "steps": Infinity}\n{"step": "x", "steps": "y"}\n' + b'x' * 100000)
os.write(2, b'\xff\xfe\n' * 100000)
sys.path.remove(os.path.dirname(__file__))
del sys.modules["tensorrt_rtx"]
import tensorrt_rtx
"""


def test_nonsense_on_both_streams_is_no_harm(vendor, build, tmp_path, capfd):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    vendor(TALKATIVE)
    assert build().emitted.report["runtime"] == "tensorrt_rtx"
    assert left(tmp_path) == ["out"]
    assert "garbage" not in "".join(capfd.readouterr())


def test_messages_are_shown_when_asked_for(build, capfd):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    build(verbosity="verbose")
    assert "[conv]" in capfd.readouterr().err.replace("ONNX Layer: conv", "[conv]")


def test_interrupting_it_ends_the_build_too(vendor, tmp_path):
    pid = tmp_path / "pid"
    vendor(
        "import os, pathlib, time\n"
        f"part = pathlib.Path({str(pid)!r} + '.part')\n"
        "part.write_text(str(os.getpid()))\n"
        f"part.rename({str(pid)!r})\n"
        "time.sleep(300)"
    )
    source = saved(SMALL, tmp_path / "small.onnx")
    (tmp_path / "work").mkdir()
    command = [
        sys.executable, "-m", "lprc", "compile", source, "--target", "trt-fp32",
        "-o", tmp_path / "work" / "out",
    ]  # fmt: skip
    # A session of its own: the signal reaches lprc only, not what it has started.
    process = start(command, stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not pid.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode not in (0, None)
    assert b"Traceback" not in said
    assert left(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_folder_called_tensorrt_is_no_module(tmp_path, monkeypatch):
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "model.engine").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    if getattr(importlib.util.find_spec("tensorrt"), "origin", None) is not None:
        pytest.skip("enterprise TensorRT is installed")
    try:
        with pytest.raises(MissingModule, match="a folder of that name is no module"):
            tensorrt_module("tensorrt")
    finally:
        sys.modules.pop("tensorrt", None)


def test_an_error_of_tensorrts_own_says_what_to_do():
    failure = {"message": "Error Code 2: Assertion", "hint": "", "kind": "", "nodes": []}
    error = _error(failure, ir.from_onnx_text(SMALL), "m.onnx")
    assert "--emit onnx" in (error.hint or "")
