"""What the command line says while it works, and before it does."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lprc._version import __version__
from lprc.cli import progress
from lprc.cli.completion_command import command as completion
from lprc.core.errors import UsageError
from lprc.core.process.python_process import module_environment
from lprc.core.targets.runtimes import runtime
from lprc.core.targets.target import target


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [(target, "trt-int9", "trt-int8"), (target, "openvino-fp3", "openvino-fp32"),
     (runtime, "openvin", "openvino"), (runtime, "orrt", "ort")],
)  # fmt: skip
def test_a_mistyped_alias_is_guessed(kind, name, meant):
    with pytest.raises(UsageError) as caught:
        kind(name)
    assert caught.value.hint == f"did you mean '{meant}'?"


@pytest.mark.parametrize("name", ["tvm", "tensorrt", "torchscript", "aoti", "executorch"])
def test_what_must_be_compiled_first_says_so(lprc, small, name):
    done = lprc("bench", f"{small}@{name}", check=False)
    assert done.returncode == 3
    assert "runs what was compiled for it" in done.stderr
    assert f"`lprc compile {small} --target " in done.stderr


def test_the_version_tells_the_sdks(lprc):
    first, *others = lprc("--version").stdout.splitlines()
    assert first == f"lprc, version {__version__}"
    assert any(line.startswith("onnxruntime ") for line in others)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell):
    done = CliRunner().invoke(completion, [shell])
    assert done.exit_code == 0
    assert "_LPRC_COMPLETE" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(lprc, tmp_path):
    script = lprc("completion", "bash").stdout
    ask = 'COMP_WORDS=(lprc insp); COMP_CWORD=1; _lprc_completion "$1" insp lprc; echo "$COMPREPLY"'
    program = tmp_path / "lprc"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lprc "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}", "bash", program],
        capture_output=True, text=True, check=True, env=module_environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "inspect"


def test_long_work_writes_lines_in_a_pipe(capsys, monkeypatch):
    clock = iter([0.0, 4.0, 11.0, 11.0, 12.0, 22.0, 22.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.reporter("training") as step:
        for done in range(1, 5):
            step(done, 9)
    assert capsys.readouterr().err == "training: 2 of 9\ntraining: 4 of 9\n"
    with progress.reporter("training", quiet=True) as step:
        assert step is None
