"""What is measured, by name: artefacts, torch's own ways, TVM's stages; and what peers build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.bench_inputs import given_inputs

Run = Callable[[], object]


def bound(name: str, sample: Mapping[str, np.ndarray], weights: Path, model: Path) -> Run:
    """A function without arguments that runs the contestant `name` once, on one thread."""
    kind, _, way = name.partition(":")
    if kind == "torch":
        return _torch(way, next(iter(sample.values())), weights)
    if kind == "tvm":
        from _published.tvm_stages import stage

        return stage(way, model, sample)
    runner = open_artifact(name).runner(threads=1)
    return runner.bound(given_inputs(runner, sample, name))


def built(peer: str, folder: Path, model: Path, calibration: Path) -> str:
    """Make a peer in `folder` unless it is there; its name for `bound`."""
    if ":" in peer:
        return peer
    place = folder / peer
    artefact = {"ort-int8": place / "model.onnx", "ov-fp32": place}.get(peer, place / "model.xml")
    if artefact.exists():
        return str(artefact)
    place.mkdir(parents=True)
    if peer == "ov-fp32":
        compile_model(compile_request(model, peer, place))
        return str(place)
    import _quantization_peers as peers

    samples = _samples(model, calibration)
    if peer == "nncf-int8":
        peers.nncf_int8(model, samples, artefact, preset="performance", fast_bias_correction=True)
    elif peer == "nncf-weights":
        peers.nncf_weights(model, artefact, mode="int8_sym")
    else:
        peers.ort_int8(model, samples, artefact, scheme="U8S8")
    return str(artefact)


def _samples(model: Path, calibration: Path) -> list[Any]:
    from lprc.compiler.compile.calibration import ImageSamples
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import task_choice

    return list(ImageSamples(calibration, task_choice(None), load(model), str(model)))


def _torch(way: str, image: np.ndarray, weights: Path) -> Run:
    """LPRNet itself: eager, traced and frozen, or compiled just in time."""
    import torch

    from lprc.models.checkpoint import load_checkpoint

    torch.set_num_threads(1)
    tensor = torch.from_numpy(np.array(image))
    network: Any = load_checkpoint(weights)
    with torch.inference_mode():
        if way == "script":
            network = torch.jit.freeze(torch.jit.trace(network, tensor))
        elif way == "compile":
            network = torch.compile(network)

    def run() -> object:
        with torch.inference_mode():
            return network(tensor)

    return run
