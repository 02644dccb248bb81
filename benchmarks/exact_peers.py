"""Nodes that the exact passes leave in networks, beside onnxsim and onnxslim on the same files.

    python benchmarks/exact_peers.py models/*.onnx --json exact_peers.json
    python benchmarks/exact_peers.py --table exact_peers.json

Each tool reads a file and writes another in a process of its own; seconds are from file to file,
without the imports. All outputs are compared with the source's in ONNX Runtime, on one sample:
``FILE.inputs.json`` beside the network has the shape of each input, integers' upper bound, a
constant; what it does not say is drawn. A peer's graph counts only where its outputs are equal.
Exits with 1 where lprc leaves more nodes than the better peer, or its outputs differ.

What the peers made is kept in the ``--json`` file: without ``--again`` only lprc runs anew.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx

TOOLS = ("lprc", "onnxsim", "onnxslim")
TARGET = "onnx"
LIMIT_S = 300


def optimize_with_lprc(source: Path, out: Path) -> float:
    """Run the pipeline of the plain ONNX target, without verification; give the seconds."""
    from lprc.core.onnx_io import model_io
    from lprc.core.passing.manager import PassManager
    from lprc.core.passing.pipeline import Pipeline
    from lprc.core.targets.target import target

    pipeline = Pipeline.parse(target(TARGET).pipeline)
    started = time.perf_counter()
    model = model_io.load(source)
    PassManager(pipeline).run(model)
    model_io.save(model, out)
    return time.perf_counter() - started


def optimize_with_onnxsim(source: Path, out: Path) -> float:
    """Run onnxsim without its check; give the seconds."""
    import onnxsim

    started = time.perf_counter()
    onnx.save(onnxsim.simplify(onnx.load(source), check_n=0)[0], out)
    return time.perf_counter() - started


def optimize_with_onnxslim(source: Path, out: Path) -> float:
    """Run onnxslim; give the seconds."""
    import onnxslim

    started = time.perf_counter()
    onnx.save(onnxslim.slim(onnx.load(source)), out)
    return time.perf_counter() - started


_OPTIMIZE: dict[str, Callable[[Path, Path], float]] = {
    "lprc": optimize_with_lprc,
    "onnxsim": optimize_with_onnxsim,
    "onnxslim": optimize_with_onnxslim,
}


def outcome(tool: str, source: Path) -> dict[str, Any]:
    """What one tool made of one file: nodes, seconds, the difference of the outputs, operators."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.onnx")
        try:
            seconds = _OPTIMIZE[tool](source, out)
            difference = largest_difference(source, out)
        except Exception as error:  # noqa: BLE001 a peer's may be anything; it is the answer
            return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        operators = Counter(node.op_type for node in all_nodes(onnx.load(out).graph))
    return {
        "nodes": operators.total(),
        "seconds": seconds,
        "difference": difference,
        "operators": dict(operators),
    }


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of all graphs inside."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def largest_difference(source: Path, out: Path) -> float:
    """The largest relative difference of an output; infinite where outputs can't be compared."""
    from lprc.core.running.numerics import compare

    sample = sample_of(source)
    before, after = (_outputs(path, sample) for path in (source, out))
    deltas = compare(before, after)
    if any(delta.mismatch is not None for delta in deltas):
        return float("inf")
    return max((0.0 if delta.within(0.0) else delta.relative for delta in deltas), default=0.0)


def _outputs(path: Path, sample: dict[str, np.ndarray]) -> dict[str, Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, sample), strict=True))


def sample_of(source: Path) -> dict[str, np.ndarray]:
    """One value for each input of a network that has no default."""
    described = source.with_suffix(".inputs.json")
    facts = json.loads(described.read_text(encoding="utf-8")) if described.exists() else {}
    graph = onnx.load(source, load_external_data=False).graph
    defaults = {tensor.name for tensor in graph.initializer}
    generator = np.random.default_rng(0)
    return {
        info.name: _drawn(info, facts.get(info.name, {}), generator)
        for info in graph.input
        if info.name not in defaults
    }


def _drawn(
    info: onnx.ValueInfoProto, facts: dict[str, Any], generator: np.random.Generator
) -> np.ndarray:
    kind = info.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
    shape = facts.get("shape", [max(dim.dim_value, 1) for dim in kind.shape.dim])
    if facts.get("value") is not None:
        return np.full(shape, facts["value"], dtype)
    if dtype.kind in "iub" or facts.get("below"):
        return generator.integers(0, facts.get("below") or 2, shape).astype(dtype)
    return generator.normal(0, 1, shape).astype(dtype)


def measure(files: list[Path], results: dict[str, Any], again: bool) -> Iterator[str]:
    """Fill in `results`, by file and tool; give each file's name when it is done."""
    for file in files:
        row = results.setdefault(file.stem, {})
        source_nodes = all_nodes(onnx.load(file, load_external_data=False).graph)
        row["source"] = {"nodes": sum(1 for _ in source_nodes)}
        for tool in TOOLS:
            if tool == "lprc" or again or tool not in row:
                row[tool] = _in_a_process(tool, file)
        yield file.stem


def _in_a_process(tool: str, file: Path) -> dict[str, Any]:
    """`outcome` in a new process: a peer may crash."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["onnx", "onnxruntime", "onnxsim", "lprc.core.onnx_io.model_io"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(outcome, tool, file).result(timeout=LIMIT_S)
        except Exception as error:  # noqa: BLE001 also that the process died
            return {"error": f"{type(error).__name__}: {str(error)[:200]}"}


def least_of_peers(row: dict[str, Any]) -> int | None:
    """The fewest nodes of a peer whose outputs are equal; None where there is none."""
    counts = [row[tool]["nodes"] for tool in TOOLS[1:] if is_equal(row[tool])]
    return min(counts, default=None)


def is_equal(result: dict[str, Any]) -> bool:
    """Whether a tool's graph gives the outputs of the source, up to rounding."""
    return bool("error" not in result and result["difference"] <= 1e-3)


def table(results: dict[str, Any]) -> Iterator[str]:
    """A table in Markdown, one row a network."""
    yield "| network | source | lprc | onnxsim | onnxslim | seconds: lprc | onnxsim | onnxslim |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, row in results.items():
        counts = [_count(row[tool]) for tool in TOOLS]
        seconds = [
            f"{row[tool]['seconds']:.2f}" if "seconds" in row[tool] else "" for tool in TOOLS
        ]
        yield "| " + " | ".join([name, str(row["source"]["nodes"]), *counts, *seconds]) + " |"


def _count(result: dict[str, Any]) -> str:
    if "error" in result:
        return "fails"
    return f"{result['nodes']}" + ("" if is_equal(result) else " (differs)")


def problems(results: dict[str, Any]) -> Iterator[str]:
    """Networks where lprc fails, differs, or leaves more nodes than the better peer."""
    for name, row in results.items():
        ours, theirs = row["lprc"], least_of_peers(row)
        if not is_equal(ours):
            yield f"{name}: {ours.get('error') or ours['difference']}"
        elif theirs is not None and ours["nodes"] > theirs:
            yield f"{name}: {ours['nodes']} nodes, a peer {theirs}; {_excess(row)}"


def _excess(row: dict[str, Any]) -> str:
    """Operators of which lprc leaves more than the better peer, and fewer."""
    peers = [row[tool] for tool in TOOLS[1:] if is_equal(row[tool])]
    ours = Counter(row["lprc"]["operators"])
    theirs = Counter(min(peers, key=lambda peer: peer["nodes"])["operators"])
    signed = {
        name: ours[name] - theirs[name] for name in ours | theirs if ours[name] != theirs[name]
    }
    return " ".join(f"{name} {more:+}" for name, more in signed.items())


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--json", type=Path, help="where what is measured is kept")
    parser.add_argument("--table", type=Path, help="print what this file has as a table")
    parser.add_argument("--again", action="store_true", help="run the peers anew too")
    arguments = parser.parse_args()
    kept = arguments.table or arguments.json
    results: dict[str, Any] = {}
    if kept is not None and kept.exists():
        results = json.loads(kept.read_text(encoding="utf-8"))
    names = [file.stem for file in arguments.files] or list(results)
    for name in measure(arguments.files, results, arguments.again):
        print(name, *(f"{tool}: {_count(results[name][tool])}" for tool in TOOLS), flush=True)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    shown = {name: results[name] for name in sorted(names)}
    if arguments.table is not None:
        print(*table(shown), sep="\n")
    missed = list(problems(shown))
    for line in missed:
        print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
