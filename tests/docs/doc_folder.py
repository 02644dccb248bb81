"""The folder in which a page's examples run: the files that the pages speak of.

The model and the plates are the bundled ones, under every name that a page gives them.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

import onnx
from doc_blocks import ROOT

MODELS = ("lprnet.onnx", "model.onnx", "m.onnx", "plates.onnx")
CHECKPOINTS = ("Final_LPRNet_model.pth",)
CALIBRATION = ("plates/calib", "calib", "images")
LABELLED = ("plates/labelled", "test", "val")
WRITTEN = {
    "small.onnx": """<ir_version: 9, opset_import: ["" : 18]>
        g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }""",
    "downloaded.onnx": """<ir_version: 9, opset_import: ["" : 18]>
        g (float[6] x) => (float[2] a, float[2] b, float[2] c) {
            a, b, c = Split<num_outputs=2>(x)
        }""",
}
"""Models as text: a small one, and one that lprc refuses."""

PROGRAMS = {
    "lprc": "import sys\nfrom lprc.cli import main\nsys.exit(main())\n",
    "pip": "import runpy\nrunpy.run_module('pip', run_name='__main__')\n",
    "python": "",
}


def furnish(folder: Path) -> None:
    """Put the model, the plates, and the repository's own folders into an empty folder."""
    for name in ("models", "examples", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    for name in MODELS:
        shutil.copy(ROOT / "models" / "lprnet_synthetic.onnx", folder / name)
    for name in CALIBRATION:
        _copy_plates("calib", 16, folder / name)
    for name in LABELLED:
        _copy_plates("test", 40, folder / name)
    for name, text in WRITTEN.items():
        onnx.save(onnx.parser.parse_model(text), folder / name)


def _copy_plates(split: str, count: int, folder: Path) -> None:
    """Copy the first `count` of the bundled plates with their labels."""
    source = ROOT / "models" / "synthetic_plates" / split
    folder.mkdir(parents=True)
    for image in sorted(source.glob("*.jpg"))[:count]:
        shutil.copy(image, folder)
    header, *rows = (source / "labels.csv").read_text().splitlines(keepends=True)
    (folder / "labels.csv").write_text("".join([header, *rows[:count]]))


def write_checkpoint(path: Path) -> None:
    """Write the bundled model's weights as torch would have saved them."""
    import torch

    graph = onnx.load(ROOT / "models" / "lprnet_synthetic.onnx").graph
    tensors = {}
    for weight in graph.initializer:
        tensors[weight.name] = torch.tensor(onnx.numpy_helper.to_array(weight).copy())
        if weight.name.endswith(".running_mean"):
            counter = weight.name.replace("running_mean", "num_batches_tracked")
            tensors[counter] = torch.tensor(0)
    torch.save(tensors, path)


def environment(folder: Path) -> dict[str, str]:
    """Of every command: a home, a cache and packages of the page's own, and no package index."""
    home = folder / ".home"
    programs = home / "bin"
    programs.mkdir(parents=True)
    (home / "tmp").mkdir()
    for name, code in PROGRAMS.items():
        text = f"#!{sys.executable}\n{code}" if code else f'#!/bin/sh\nexec {sys.executable} "$@"\n'
        (programs / name).write_text(text)
        (programs / name).chmod(stat.S_IRWXU)
    return {
        "COLUMNS": "200",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "LPRC_NO_CACHE": "",
        "LPRC_CACHE_DIR": str(home / ".cache" / "lprc"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
        "PIP_QUIET": "1",
        "PIP_TARGET": str(home / "packages"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{home / 'packages'}",
        "TMPDIR": str(home / "tmp"),
    }
