"""Starting lprc imports nothing that it does not use."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

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


def test_help_lists_every_command_and_is_quick(lprc):
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        text = lprc("--help").stdout
        seconds.append(time.perf_counter() - started)
    for name in ("compile", "opt", "export", "eval", "bench", "passes", "targets"):
        assert name in text
    # 0.1 s on an idle machine; the bound leaves room for a busy one.
    assert statistics.median(seconds) < 1.0
