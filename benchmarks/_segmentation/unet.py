"""A U-Net in int8 by OpenVINO: lprc's and NNCF's, with and without accuracy control."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from _segmentation.artefacts import artefact
from _segmentation.commands import document, once
from _segmentation.samples import some_of
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import load_task

ALLOWED_DROP = 0.003


def unet_rows(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Float, then each way to int8: mean IoU, size, time to make it, latency."""
    folders: dict[str, tuple[Path, float]] = {}
    float_folder = artefact("unet", arguments.unet, "ov-fp32", arguments)
    folders["float"] = float_folder, 0.0
    judged = some_of(arguments.data / "train", arguments.state / "judged")
    drop = ["--data", judged, "--max-accuracy-drop", str(ALLOWED_DROP)]
    for name, options in {"lprc": [], "lprc, accuracy control": drop}.items():
        out = arguments.state / name.replace(", ", "-").replace(" ", "-")
        calib = ["--calib", arguments.data / "train" / "images", "--task", arguments.task]
        command = ["compile", arguments.unet, "--target", "ov-int8", "-o", out, *calib, *options]
        started = _processor_time()
        once(out, [*command, "-q"])
        folders[name] = out, _processor_time() - started
    ir = next(float_folder.glob("*.xml"))
    for name, controlled in {"NNCF": False, "NNCF, accuracy control": True}.items():
        out = arguments.state / f"{name.replace(', ', '-').replace(' ', '-')}.xml"
        started = _processor_time()
        if not out.exists():
            _nncf(arguments, ir, out, judged if controlled else None)
        folders[name] = out, _processor_time() - started
    rows = []
    timed = document("bench", *(folder for folder, _ in folders.values()),
                     "--threads", str(arguments.threads), "--rounds", "300")  # fmt: skip
    for (name, (folder, seconds)), timing in zip(folders.items(), timed, strict=True):
        score = document("eval", folder, "--data", arguments.data / "val", "--task", arguments.task)
        rows.append({
            "name": name, "score": score["value"], "interval": score["interval"],
            "seconds": seconds, "ms": timing["median_ms"], "bytes": timing["size_bytes"],
        })  # fmt: skip
        print(rows[-1])
    return rows


def _processor_time() -> float:
    """Seconds of this process and its children."""
    return float(sum(os.times()[:4]))


def _nncf(arguments: argparse.Namespace, ir: Path, out: Path, judged: Path | None) -> None:
    import nncf
    import openvino

    model = openvino.Core().read_model(ir)
    task = load_task(arguments.task)
    shape = tuple(task.input.shape)
    name = next(iter(model.inputs[0].names))
    interface = Interface(
        {name: (None, *shape)}, {name: np.dtype("f4")}, ["logits"], str(ir), lambda _: {}
    )
    images = sorted((arguments.data / "train" / "images").iterdir())
    calibration = nncf.Dataset(images, lambda path: task.prepare(path, interface)[0][name][None])
    subset = {"subset_size": len(images)}
    if judged is None:
        quantised = nncf.quantize(model, calibration, **subset)
    else:
        samples = task.labelled(judged)
        quantised = nncf.quantize_with_accuracy_control(
            model,
            calibration,
            nncf.Dataset(samples, lambda sample: task.prepare(sample.path, interface)[0][name]),
            lambda compiled, _: (_score(compiled, task, samples, interface, name), None),
            max_drop=ALLOWED_DROP,
            **subset,
        )
    openvino.save_model(quantised, out, compress_to_fp16=False)


def _score(compiled: Any, task: Task, samples: Iterable[Any], interface: Interface, name: str
           ) -> float:  # fmt: skip
    records = []
    for sample in samples:
        arrays, place = task.prepare(sample.path, interface)
        outputs = {"logits": compiled(arrays[name][None])[0]}
        records.append(task.judge(task.answers(outputs, [place])[0], sample.truth))
    return task.combine(records)
