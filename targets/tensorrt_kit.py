"""Kits: what builds a TensorRT engine on the device, and checks there that it is right."""

from __future__ import annotations

import json
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lprc.core.files.digest import sha256
from lprc.core.running.numerics import Session
from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.targets.tensorrt_samples import batch

SETTINGS = "build.json"
REFERENCE = "reference.npz"
README = "README.txt"
SUMS = "SHA256SUMS"
_SCRIPTS = "lprc.targets.tensorrt_scripts"


def write(job: EmitJob, settings: dict[str, Any]) -> Emitted:
    """Write the kit beside the lowered graph: settings, scripts, reference outputs, checksums.

    Args:
        job: The model to emit, and where.
        settings: As of `tensorrt_scripts.build_engine`.
    """
    folder = job.folder
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
    for name, content in _scripts().items():
        (folder / name).write_text(content, encoding="utf-8")
    _write_reference(job, settings["profiles"])
    lines = _readme(job, settings)
    (folder / README).write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_sums(folder)
    return Emitted([], {"trtexec": shlex.join(_trtexec(settings))})


def _scripts() -> dict[str, str]:
    """The scripts that stand alone, by file name."""
    return {
        each.name: each.read_text(encoding="utf-8")
        for each in resources.files(_SCRIPTS).iterdir()
        if each.name.endswith(".py") and each.name != "__init__.py"
    }


def _write_reference(job: EmitJob, profiles: dict[str, Any]) -> None:
    """Inputs, and what the lowered graph makes of them in ONNX Runtime."""
    inputs = batch(job.model, job.inputs, profiles)
    outputs = Session(job.model).run(inputs)
    named: dict[str, Any] = {
        **{f"input:{name}": array for name, array in inputs.items()},
        **{f"output:{name}": array for name, array in outputs.items()},
    }
    np.savez(job.folder / REFERENCE, **named)


def _trtexec(settings: dict[str, Any]) -> list[str]:
    """The same build with the vendor's command."""
    options = [
        "trtexec",
        f"--onnx={settings['model']}",
        f"--saveEngine={settings['engine']}",
        "--stronglyTyped",
        "--profilingVerbosity=detailed",
        f"--exportLayerInfo={settings['layers']}",
    ]
    for position, key in enumerate(("min", "opt", "max")):
        shapes = [
            f"{name}:{'x'.join(map(str, sizes[position]))}"
            for name, sizes in settings["profiles"].items()
        ]
        if shapes:
            options.append(f"--{key}Shapes={','.join(shapes)}")
    if settings["workspace_mib"] is not None:
        options.append(f"--memPoolSize=workspace:{settings['workspace_mib']}")
    if settings["sparse"]:
        options.append("--sparsity=enable")
    return options


def _readme(job: EmitJob, settings: dict[str, Any]) -> list[str]:
    return [
        f"{job.target}: build the engine on the device that runs it.",
        "",
        "Check that the files are whole:",
        f"    sha256sum --check {SUMS}",
        "Build (Python, and TensorRT-RTX or TensorRT 10 or 11):",
        f"    python build_engine.py {SETTINGS}",
        "or, with the vendor's command:",
        f"    {shlex.join(_trtexec(settings))}",
        "Run it on the stored inputs and compare with ONNX Runtime's outputs (numpy and "
        "cuda-bindings; the exit code is 0 where they agree):",
        f"    python run_engine.py {settings['engine']} {REFERENCE} --tolerance {job.tolerance:g}",
        "",
        "Precision is in the ONNX file: networks are strongly typed, nothing is calibrated.",
    ]


def _write_sums(folder: Path) -> None:
    lines = [
        f"{sha256(path)}  {path.name}"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != SUMS
    ]
    (folder / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")
