"""How the time of the exact passes grows with the graph, against onnxsim on the same file.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --nodes 2500 5000 --repeats 5 --json scaling.json

Both read one ONNX file and write another. They take turns, so that a busy machine is busy for
both; times are medians. Exits with 1 where doubling the nodes takes more than 2.4 times as long, or
where onnxsim is faster.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

CHANNELS = 4
SIDE = 6
GROWTH_LIMIT = 2.4
TARGET = "openvino-fp32"


@dataclass
class Times:
    """Seconds on one graph, one entry a repeat."""

    nodes: int
    whole: list[float] = field(default_factory=list)
    passes: dict[str, list[float]] = field(default_factory=dict)
    onnxsim: list[float] = field(default_factory=list)
    nodes_after: int = 0
    nodes_after_onnxsim: int = 0


def residual_graph(nodes: int, seed: int = 0) -> onnx.ModelProto:
    """A chain of residual blocks as an exporter writes them: about `nodes` nodes, tiny weights.

    A block is Conv, BatchNormalization, Relu, Conv, BatchNormalization, Add, Relu, and the shape
    arithmetic of ``x.view(x.size(0), …)``: Shape, Gather, Unsqueeze, Concat, Reshape, with its
    indices and sizes in Constant nodes. The batch is dynamic.
    """
    builder = _Builder(np.random.default_rng(seed))
    value = "x"
    while len(builder.nodes) < nodes:
        value = builder.block(value)
    shape = ["batch", CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        builder.nodes,
        "residual",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape)],
        builder.initializers,
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


class _Builder:
    def __init__(self, generator: np.random.Generator) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._generator = generator

    def block(self, value: str) -> str:
        prefix = f"block{len(self.nodes)}"
        inner = self._node("Relu", [self._conv_bn(value, f"{prefix}.1")], f"{prefix}.relu1")
        added = self._node("Add", [self._conv_bn(inner, f"{prefix}.2"), value], f"{prefix}.add")
        return self._view(self._node("Relu", [added], f"{prefix}.relu2"), prefix)

    def _conv_bn(self, value: str, name: str) -> str:
        # Small weights: a thousand blocks must neither blow up nor die out.
        weight = self._weight(f"{name}.weight", (CHANNELS, CHANNELS, 3, 3), 0.0, 0.05)
        conv = self._node("Conv", [value, weight], f"{name}.conv", pads=[1, 1, 1, 1])
        parameters = [
            self._weight(f"{name}.{part}", (CHANNELS,), mean, spread)
            for part, mean, spread in (
                ("scale", 0.3, 0.01),
                ("shift", 0.0, 0.01),
                ("mean", 0.0, 0.01),
                ("var", 1.0, 0.0),
            )
        ]
        return self._node("BatchNormalization", [conv, *parameters], f"{name}.bn")

    def _view(self, value: str, prefix: str) -> str:
        shape = self._node("Shape", [value], f"{prefix}.shape")
        first = self._constant(f"{prefix}.zero", 0)
        batch = self._node("Gather", [shape, first], f"{prefix}.gather")
        axes = self._constant(f"{prefix}.axes", [0])
        batch = self._node("Unsqueeze", [batch, axes], f"{prefix}.unsqueeze")
        rest = self._constant(f"{prefix}.rest", [CHANNELS, SIDE, SIDE])
        target = self._node("Concat", [batch, rest], f"{prefix}.concat", axis=0)
        return self._node("Reshape", [value, target], f"{prefix}.reshape")

    def _constant(self, name: str, values: object) -> str:
        tensor = numpy_helper.from_array(np.array(values, dtype=np.int64))
        return self._node("Constant", [], name, value=tensor)

    def _node(self, op_type: str, inputs: list[str], name: str, **attributes: object) -> str:
        output = f"{name}_out"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name, **attributes))
        return output

    def _weight(self, name: str, shape: tuple[int, ...], mean: float, spread: float) -> str:
        array = self._generator.normal(mean, spread, shape).astype(np.float32)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name


def time_lprc(source: Path, out: Path, pipeline_text: str, times: Times) -> None:
    """Run the pipeline from file to file, without verification."""
    from lprc.core.onnx_io import model_io
    from lprc.core.passing.manager import PassManager
    from lprc.core.passing.pipeline import Pipeline

    started = time.perf_counter()
    model = model_io.load(source)
    loaded = time.perf_counter()
    records = PassManager(Pipeline.parse(pipeline_text)).run(model)
    optimized = time.perf_counter()
    model_io.save(model, out)
    saved = time.perf_counter()
    times.whole.append(saved - started)
    named = [(f"{record.position + 1:2} {record.text}", record.seconds) for record in records]
    for name, seconds in (("load", loaded - started), *named, ("save", saved - optimized)):
        times.passes.setdefault(name, []).append(seconds)
    times.nodes_after = len(model.graph)


def time_onnxsim(source: Path, out: Path, times: Times) -> None:
    """Run onnxsim from file to file, without its check."""
    import onnxsim

    started = time.perf_counter()
    simplified, _ = onnxsim.simplify(onnx.load(source), check_n=0)
    onnx.save(simplified, out)
    times.onnxsim.append(time.perf_counter() - started)
    times.nodes_after_onnxsim = len(simplified.graph.node)


def measure(sizes: list[int], repeats: int, pipeline_text: str, rival: bool) -> list[Times]:
    """Time each size `repeats` times, lprc and onnxsim in turn."""
    with tempfile.TemporaryDirectory() as folder:
        sources = [Path(folder, f"{size}.onnx") for size in sizes]
        for source, size in zip(sources, sizes, strict=True):
            onnx.save(residual_graph(size), source)
        results = [Times(len(onnx.load(source).graph.node)) for source in sources]
        # Imports are not part of what is measured.
        time_lprc(sources[0], Path(folder, "warm.onnx"), pipeline_text, Times(0))
        for _ in range(repeats):
            for source, times in zip(sources, results, strict=True):
                time_lprc(source, Path(folder, "lprc.onnx"), pipeline_text, times)
                if rival:
                    time_onnxsim(source, Path(folder, "onnxsim.onnx"), times)
    return results


def show(results: list[Times], console: Console) -> None:
    """Print a table with one line a pass: milliseconds by size, and the growth at each step."""
    table = Table("", *(f"{times.nodes} nodes" for times in results), "growth")
    for name in results[0].passes:
        medians = [statistics.median(times.passes[name]) for times in results]
        table.add_row(name, *_milliseconds(medians), _growth_text(medians))
    table.add_section()
    for name, totals in (("lprc", _wholes(results)), ("onnxsim", _rivals(results))):
        if totals:
            table.add_row(name, *_milliseconds(totals), _growth_text(totals))
    table.add_row("nodes left by lprc", *(str(times.nodes_after) for times in results))
    if _rivals(results):
        left = (str(times.nodes_after_onnxsim) for times in results)
        table.add_row("nodes left by onnxsim", *left)
    console.print(table)


def problems(results: list[Times]) -> Iterator[str]:
    """Which goals are missed."""
    wholes, rivals = _wholes(results), _rivals(results)
    for (small, large), growth in zip(_steps(results), _growth(wholes), strict=True):
        limit = GROWTH_LIMIT ** np.log2(large.nodes / small.nodes)
        if growth > limit:
            yield f"{small.nodes} to {large.nodes} nodes: {growth:.2f} times the time"
    for times, ours, theirs in zip(results, wholes, rivals or wholes, strict=True):
        if ours > theirs:
            yield f"{times.nodes} nodes: {ours:.2f} s, onnxsim {theirs:.2f} s"


def _wholes(results: list[Times]) -> list[float]:
    return [statistics.median(times.whole) for times in results]


def _rivals(results: list[Times]) -> list[float]:
    return [statistics.median(times.onnxsim) for times in results if times.onnxsim]


def _steps(results: list[Times]) -> list[tuple[Times, Times]]:
    return list(itertools.pairwise(results))


def _growth(medians: list[float]) -> list[float]:
    return [after / before for before, after in itertools.pairwise(medians)]


def _growth_text(medians: list[float]) -> str:
    return " ".join(f"×{growth:.2f}" for growth in _growth(medians))


def _milliseconds(medians: list[float]) -> list[str]:
    return [f"{seconds * 1000:.1f} ms" for seconds in medians]


def main() -> int:
    """Measure, print and judge."""
    from lprc.core.targets.target import target

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[2500, 5000, 10_000, 20_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--passes", default=target(TARGET).pipeline, help="the pipeline's text")
    parser.add_argument("--no-onnxsim", action="store_true", help="measure lprc alone")
    parser.add_argument("--json", type=Path, help="also write the seconds to this file")
    arguments = parser.parse_args()
    results = measure(
        sorted(arguments.nodes), arguments.repeats, arguments.passes, not arguments.no_onnxsim
    )
    # In a pipe a console is 80 columns wide, too few for the table.
    console = Console(width=None if sys.stdout.isatty() else 140)
    show(results, console)
    if arguments.json is not None:
        seconds = [vars(times) for times in results]
        arguments.json.write_text(json.dumps(seconds, indent=2) + "\n", encoding="utf-8")
    missed = list(problems(results))
    for line in missed:
        console.print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
