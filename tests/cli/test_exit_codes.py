"""Each documented exit code, from a process of its own; nothing is written where it is not 0."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from lprc.cli import root
from lprc.cli.failures import INTERNAL_ERROR
from lprc.core import errors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compile_(lprc, small, tmp_path):
    def run(*arguments, model=small, target="onnx"):
        done = lprc(
            "compile", model, "--target", target, "-o", tmp_path / "o" / "out", *arguments,
            check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert not (tmp_path / "o").exists() or list((tmp_path / "o").iterdir()) == []
        return done

    return run


def program(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line after `code` has changed something in its process."""
    text = f"{code}\nfrom lprc.cli import main\nmain()"
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_0_ok(compile_):
    assert compile_().returncode == 0


@pytest.mark.parametrize("arguments", [["--nonsense"], ["--verify", "never"], ["-O", "x=1"]])
def test_2_usage(compile_, arguments):
    assert compile_(*arguments).returncode == 2


def test_3_invalid_model(compile_, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert compile_(model=tmp_path / "m.onnx").returncode == 3


def test_4_illegal_for_target(compile_, small):
    model = onnx.load(small)
    model.graph.node[2].domain = "acme"
    model.opset_import.add(domain="acme", version=1)
    onnx.save(model, small)
    done = compile_("--emit", "onnx", target="ort-fp32")
    assert done.returncode == 4
    assert "hint: " in done.stderr


BREAK = """
from dataclasses import dataclass
import sys
from lprc.core import builtin
from lprc.core.graph import editing
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass

@dataclass(frozen=True)
class Break(Pass):
    '''Drop a Relu.'''
    name = "break"
    contract = exact
    def run(self, model, context):
        node = next(node for node in model.graph if node.op_type == "Relu")
        if context.rewrite(node, "dropped"):
            node.op_type = "Neg"

builtin.PASSES["break"] = "__main__:Break"
"""


def test_5_promise_broken(small, tmp_path):
    out = tmp_path / "o" / "out"
    done = program(
        BREAK, "compile", small, "--target", "onnx", "-o", out, "--passes", "infer-shapes,break"
    )
    assert done.returncode == 5, done.stderr
    # The evidence is left on purpose, and said.
    assert [path.name for path in out.parent.iterdir()] == ["out.broken"]
    assert "out.broken" in done.stderr


def test_6_accuracy_missed(compile_, bundled, plates, tmp_path):
    some = tmp_path / "plates"
    some.mkdir()
    for image in sorted(plates.glob("*.jpg"))[:10]:
        shutil.copy(image, some / f"ZZZ999-{image.name}")  # labels that no network reads
    arguments = ["--calib", some, "--data", some, "--guard", "--emit", "engine"]
    slow = "import lprc.compiler.compile.guard as g; g.LATENCY_MARGIN = -1.0"
    done = program(
        slow, "compile", bundled, "--target", "ort-int8", "-o", tmp_path / "o" / "out", *arguments
    )
    assert done.returncode == 6, done.stderr
    assert list((tmp_path / "o").iterdir()) == []


def test_7_missing_sdk(small, tmp_path):
    hide = """
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name: None if name == "openvino" else find(name)
"""
    done = program(hide, "compile", small, "--target", "ov-fp32", "-o", tmp_path / "o" / "out")
    assert done.returncode == 7, done.stderr
    assert not (tmp_path / "o").exists()


def test_8_data(compile_, tmp_path):
    assert compile_("--calib", tmp_path / "nowhere").returncode == 8


def test_9_output(lprc, small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("")
    done = lprc("compile", small, "--target", "onnx", "-o", tmp_path / "mine", check=False)
    assert done.returncode == 9
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


@pytest.mark.parametrize("command", ["opt", "compile"])
@pytest.mark.parametrize("existed", [False, True])
def test_9_files_that_may_not_grow(lprc, bundled, tmp_path, command, existed):
    """As a full disk, but one that needs no rights: EFBIG where that one gives ENOSPC."""
    out = tmp_path / "o" / "out"
    out.parent.mkdir()
    arguments = [command, bundled, "-o", out, "-q"]
    arguments += ["--passes", "infer-shapes"] if command == "opt" else ["--target", "onnx"]
    if existed:
        lprc(*arguments)
    before = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    limited = ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", sys.executable, "-m", "lprc"]
    done = subprocess.run(
        [*limited, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 9, done.stderr
    assert "can't be written: File too large" in done.stderr
    after = {path: path.read_bytes() for path in out.parent.rglob("*") if path.is_file()}
    assert after == before
    assert len(list(out.parent.iterdir())) == existed


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_9_a_full_disk(lprc, bundled, tiny_disk):
    done = lprc("compile", bundled, "--target", "onnx", "-o", tiny_disk / "out", check=False)
    assert done.returncode == 9
    assert "No space left on device" in done.stderr
    assert list(tiny_disk.iterdir()) == []


def test_9_a_full_disk_without_a_mount(bundled, tmp_path):
    """The disk is full after the lowered graph, when the manifest is written."""
    full = """
import errno
from lprc.compiler.compile import model as module
def write_manifest(document, folder):
    raise OSError(errno.ENOSPC, "No space left on device", str(folder))
module.write_manifest = write_manifest
"""
    out = tmp_path / "o" / "out"
    done = program(full, "compile", bundled, "--target", "onnx", "--emit", "onnx", "-o", out)
    assert done.returncode == 9, done.stderr
    assert "No space left on device" in done.stderr
    assert list(out.parent.iterdir()) == []


def test_70_internal_error(small, tmp_path):
    wrong = """
from lprc.core.passing.manager import PassManager
def run(self, model):
    raise ZeroDivisionError("nobody thought of it")
PassManager.run = run
"""
    out = tmp_path / "o" / "out"
    done = program(wrong, "compile", small, "--target", "onnx", "-o", out)
    assert done.returncode == 70, done.stderr
    assert "internal error: ZeroDivisionError: nobody thought of it" in done.stderr
    assert "--debug" in done.stderr
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("inspect", "MODEL"), ("targets", "--json"), ("diff", "MODEL", "MODEL")]
)
def test_a_reader_that_goes_is_no_failure(small, arguments):
    """Its end is closed before anything is written, so nothing hangs on speed."""
    read, write = os.pipe()
    os.close(read)
    words = [str(small) if word == "MODEL" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-m", "lprc", *words], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        (["compile", "--json"], "UsageError", 2),
        (["compil", "--json"], "UsageError", 2),
        (["inspect", "none.onnx", "--json"], "InvalidModelError", 3),
    ],
)
def test_json_tells_errors_too(lprc, arguments, error, code):
    done = lprc(*arguments, check=False)
    assert done.returncode == code
    document = json.loads(done.stdout)
    assert (document["error"], document["exit_code"]) == (error, code)
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[0].endswith(document["message"])


def test_json_tells_internal_errors(small):
    wrong = "from lprc.cli import inspect_command\nimport lprc.core.onnx_io.model_io as io\n"
    wrong += "def load(*_, **__):\n    raise ZeroDivisionError('nobody')\nio.load = load"
    done = program(wrong, "inspect", small, "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]) == (70, "InternalError")
    assert document["message"] == "ZeroDivisionError: nobody"


def test_what_click_refuses_is_one_line(lprc):
    done = lprc("compile", "--steps", "3", check=False)
    first, second = done.stderr.splitlines()
    assert first.startswith("error: lprc compile: No such option '--steps'")
    assert second == "hint: `lprc compile --help` shows what there is"


def test_the_page_lists_them_all():
    """130 and 143 are tested in test_signals.py."""
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.exit_code for each in classes if issubclass(each, errors.LprcError)}
    base = errors.LprcError.exit_code  # no error is only that
    assert listed == {0, INTERNAL_ERROR, root.INTERRUPTED, 129, 143} | codes - {base}
    for each in classes:
        if issubclass(each, errors.LprcError) and each is not errors.LprcError:
            assert f"`{each.__name__}`" in text
