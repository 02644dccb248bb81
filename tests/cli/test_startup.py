"""Starting lprc imports nothing that it does not use."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "onnx", "onnx_ir", "onnxruntime", "openvino", "torch", "PIL", "onnxsim")


def modules_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_import_lprc_is_light():
    assert not modules_after("import lprc").intersection(HEAVY)


def test_help_is_light():
    code = "from lprc.cli.root import root; root.main(['--help'], standalone_mode=False)"
    assert not modules_after(code).intersection((*HEAVY, "rich"))


def test_help_lists_every_command(lprc):
    text = lprc("--help").stdout
    for name in ("compile", "opt", "export", "eval", "bench", "passes", "targets"):
        assert name in text
