"""`sparsify` beside SparseGPT's own arithmetic: same graph, same layers, same samples, same cores.

    python benchmarks/sparsify_speed.py model.onnx --calib ../shared/lprnet/calib [--pattern 1:4]
    python benchmarks/sparsify_speed.py unet.onnx --random 16

The peer is what SparseGPT (Frantar and Alistarh, ICML 2023) does to a layer, in NumPy over LAPACK:
the second moment of all that the layer sees, the Cholesky factor of its inverse, and one sweep over
the columns in blocks of 128 that passes errors on. The layers' inputs come from a single run of the
dense network over the samples, which is less than SparseGPT's own layer by layer propagation. So
the peer's time is a lower bound of it. Both are measured in turn, with one BLAS thread; seconds are
of CPU time of this process, and of the wall. SNR is of the outputs against the dense network's.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.compiler.compile.calibration import ImageSamples
from lprc.core.graph import editing
from lprc.core.graph.weight_sparsity import Pattern
from lprc.core.onnx_io.model_io import from_proto, load, to_bytes, to_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.process.blas_threads import one_blas_thread
from lprc.core.running.numerics import Arrays, Session, random_inputs
from lprc.core.running.observe import observe
from lprc.core.tasks.task_file import BY_MODEL
from lprc.passes._fitting.unfold import Unfolded
from lprc.passes._sparsity.layers import LARGEST, Limits, groups_of, sparse_layers

Float32 = NDArray[np.float32]

BLOCK = 128
"""Columns of a block of the sweep, as in SparseGPT's code."""

DAMPING = 0.01
"""Of the mean of the diagonal, as in SparseGPT's code."""


@dataclass(frozen=True)
class Timed:
    """A sparse model, and how long it took: seconds of CPU time and of the wall."""

    model: ir.Model
    cpu: float
    wall: float


def main() -> None:
    """Print a table of times and ratios."""
    arguments = _arguments()
    model, pattern = load(arguments.model), Pattern.parse(arguments.pattern)
    samples = _samples(model, arguments)
    contestants: dict[str, Callable[[], ir.Model]] = {
        "SparseGPT": lambda: sparsegpt(model, pattern, samples),
        "sparsify": lambda: sparsified(model, arguments.pattern, arguments.options, samples),
    }
    results: dict[str, list[Timed]] = {name: [] for name in contestants}
    for _ in range(arguments.repeats):
        for name, make in contestants.items():
            results[name].append(timed(make))
    peer = results["SparseGPT"]
    print("| | CPU s | wall s | CPU / SparseGPT | SNR dB |\n|---|---|---|---|---|")
    for name, timings in results.items():
        ratios = [one.cpu / other.cpu for one, other in zip(timings, peer, strict=True)]
        snr = signal_to_noise(model, timings[-1].model, samples)
        print(
            f"| {name} | {statistics.median(one.cpu for one in timings):.1f} "
            f"| {statistics.median(one.wall for one in timings):.1f} "
            f"| {statistics.median(ratios):.2f} [{min(ratios):.2f} – {max(ratios):.2f}] "
            f"| {snr:.1f} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="an ONNX file")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--calib", type=Path, help="a folder of plates")
    data.add_argument("--random", type=int, help="that many samples of noise")
    parser.add_argument("--pattern", default="2:4")
    parser.add_argument("--options", default="", help="other options of sparsify")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def _samples(model: ir.Model, arguments: argparse.Namespace) -> list[Arrays]:
    if arguments.calib is not None:
        return list(ImageSamples(arguments.calib, BY_MODEL, model, str(arguments.model)))
    return [random_inputs(model, seed=seed) for seed in range(arguments.random)]


def timed(make: Callable[[], ir.Model]) -> Timed:
    """What `make` gives, and how long it takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    with one_blas_thread():
        model = make()
    return Timed(model, time.process_time() - cpu, time.perf_counter() - wall)


def sparsified(
    model: ir.Model, pattern: str, options: str, samples: Sequence[Arrays]
) -> ir.Model:  # fmt: skip
    """A copy of `model` behind `sparsify`."""
    copy = from_proto(to_proto(model))
    text = f"sparsify{{{', '.join(filter(None, [f'pattern={pattern}', options]))}}}"
    PassManager(Pipeline.parse(text), calibration=samples).run(copy)
    return copy


def sparsegpt(model: ir.Model, pattern: Pattern, samples: Sequence[Arrays]) -> ir.Model:
    """A copy of `model` whose layers are pruned by SparseGPT's sweep."""
    copy = from_proto(to_proto(model))
    layers = sparse_layers(copy, Limits(pattern, (), 0, LARGEST), PassContext())
    inputs = list(dict.fromkeys(layer.input for layer in layers))
    moments = {layer.node: np.zeros((layer.groups, layer.size, layer.size)) for layer in layers}
    for arrays in observe(copy, inputs, samples, check=False):
        for layer in layers:
            for columns in layer.columns(arrays[str(layer.input.name)]):
                for group, seen in enumerate(columns):
                    moments[layer.node][group] += seen.T @ seen
    for layer in layers:
        rows = layer.rows(layer.array).astype(np.float64)
        for group, moment in enumerate(moments[layer.node]):
            rows[group] = swept(rows[group], moment, layer, pattern)
        _store(layer, layer.fold(rows.astype(np.float32)))
    return copy


def swept(
    rows: NDArray[np.float64], moment: NDArray[np.float64], layer: Unfolded, pattern: Pattern
) -> NDArray[np.float64]:
    """SparseGPT's sweep over the columns of one group's rows: float64 [rows, size]."""
    order = groups_of(layer, pattern.group).reshape(-1)
    dead = np.diag(moment) == 0
    moment = moment + np.diag(np.where(dead, 1.0, DAMPING * np.diag(moment).mean()))
    inverse = np.linalg.inv(np.linalg.cholesky(moment[np.ix_(order, order)]))
    upper = np.linalg.cholesky(inverse.T @ inverse).T
    weight, diagonal = np.where(dead, 0.0, rows)[:, order], np.diag(upper)
    inside = np.ones(weight.shape, bool)
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        errors = np.zeros((len(weight), stop - start))
        for column in range(start, stop):
            if column % pattern.group == 0:
                here = slice(column, column + pattern.group)
                gone = np.argsort((weight[:, here] / diagonal[here]) ** 2, axis=1)
                gone = gone[:, : pattern.group - pattern.kept]
                np.put_along_axis(inside[:, here], gone, False, axis=1)
            error = np.where(inside[:, column], 0.0, weight[:, column] / diagonal[column])
            weight[:, column:stop] -= np.outer(error, upper[column, column:stop])
            errors[:, column - start] = error
        weight[:, stop:] -= errors @ upper[start:stop, stop:]
    result = np.empty_like(weight)
    result[:, order] = np.where(inside, weight, 0.0)
    return result


def _store(layer: Unfolded, array: Float32) -> None:
    graph = layer.node.graph
    assert isinstance(graph, ir.Graph)
    new = editing.add_initializer(graph, f"{layer.weight.name}_sparse", array)
    layer.node.replace_input_with(1, new)


def signal_to_noise(model: ir.Model, other: ir.Model, samples: Sequence[Arrays]) -> float:
    """Decibels of the outputs of `model` over the difference of those of `other`."""
    sessions = [Session(to_bytes(one), optimize=True, threads=2) for one in (model, other)]
    signal = noise = 0.0
    for sample in samples:
        wanted, found = (session.run(sample) for session in sessions)
        for name, array in wanted.items():
            signal += float(np.square(array, dtype=np.float64).sum())
            noise += float(np.square(array - found[name], dtype=np.float64).sum())
    return 10 * math.log10(signal / max(noise, 1e-30))


if __name__ == "__main__":
    main()
