"""Networks written as ONNX files: seeded weights, statistics of a network that has seen data."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from _zoo.inputs import samples, write_inputs
from _zoo.network import Network

OPSET = {"dynamo": 18, "script": 17}
STATISTICS_BATCH = 8
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORMS = (*BATCH_NORMS, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)
STATISTICS_ROUNDS = 3


def export_all(networks: Iterable[Network], folder: Path) -> Iterator[str]:
    """Write the files that are not there yet; one line a file that was written or failed."""
    folder.mkdir(parents=True, exist_ok=True)
    for network in networks:
        module: nn.Module | None = None
        for export in network.exports:
            path = folder / f"{network.name}-{export}.onnx"
            write_inputs(path, network.inputs())
            if path.exists():
                continue
            try:
                module = module or prepared(network)
                write(network, module, export, path)
            except Exception as error:  # noqa: BLE001 - an exporter may raise anything
                yield f"{path.name}: not exported: {type(error).__name__}: {_first_line(error)}"
            else:
                yield f"{path.name}: {path.stat().st_size / 1e6:.1f} MB"


def prepared(network: Network) -> nn.Module:
    """The network in evaluation mode, its weights and statistics as if it had been trained."""
    torch.manual_seed(zlib.crc32(network.name.encode()))
    module = network.module()
    with torch.no_grad():
        for child in module.modules():
            _liven(child)
        for name, parameter in module.named_parameters():
            if "layer_scale" in name or name.endswith(("gamma", "gamma_1", "gamma_2")):
                parameter.fill_(0.3)
        _collect_statistics(network, module)
    module.eval()
    return network.finish(module).eval() if network.finish else module


def _liven(module: nn.Module) -> None:
    """Spread the weights of a normalisation; fresh ones are all 1 and 0, or all 0."""
    if isinstance(module, NORMS) and module.weight is not None:
        module.weight.uniform_(0.5, 1.5)
        module.bias.normal_(0, 0.2)
    if isinstance(module, nn.PReLU):
        module.weight.uniform_(0.05, 0.4)


def _collect_statistics(network: Network, module: nn.Module) -> None:
    """Run a few batches in training mode, with dropout off, where there are statistics to take."""
    norms = [child for child in module.modules() if isinstance(child, BATCH_NORMS)]
    if not norms:
        return
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for seed in range(STATISTICS_ROUNDS):
        module(*_example(network, seed, STATISTICS_BATCH))


def write(network: Network, module: nn.Module, export: str, path: Path) -> None:
    """Export to `path`, whole or not at all."""
    partial = path.with_suffix(".partial")
    # torch's fused attention is one operator that its older exporter does not know.
    torch.backends.mha.set_fastpath_enabled(False)
    logging.disable(logging.WARNING)
    exporter, _, dynamic = export.partition("-")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module,
                _example(network, 0, batch=2 if export == "dynamo-dynamic" else 1),
                str(partial),
                verbose=False,
                input_names=list(network.shapes),
                opset_version=OPSET[exporter],
                **_exporter_options(exporter, network.symbolic_axes() if dynamic else {}),
            )
    finally:
        logging.disable(logging.NOTSET)
    partial.replace(path)


def _exporter_options(exporter: str, axes: Mapping[str, Mapping[int, str]]) -> dict[str, Any]:
    """What the two exporters are told in different words: themselves, and symbolic axes."""
    if exporter == "script":
        return {"dynamo": False, "dynamic_axes": axes or None}
    names = {name for sizes in axes.values() for name in sizes.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    shapes = tuple({axis: dims[name] for axis, name in sizes.items()} for sizes in axes.values())
    return {"dynamo": True, "external_data": False, "dynamic_shapes": shapes or None}


def _example(network: Network, seed: int, batch: int) -> tuple[torch.Tensor, ...]:
    """Inputs of `batch` samples, or of the sizes as they are where the batch is not symbolic."""
    (sample,) = samples(network.inputs(batch), 1, seed)
    return tuple(torch.from_numpy(array) for array in sample.values())


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else ""
