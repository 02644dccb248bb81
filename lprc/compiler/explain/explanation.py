"""Where a node of an artefact comes from, what passes did to it, and how to exclude it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.engine_layers import EngineLayer, engine_layers
from lprc.compiler.artifact.manifest_file import FILE
from lprc.compiler.artifact.pass_log import Event, read_log
from lprc.compiler.explain.exclusion import Exclusion, exclusions
from lprc.compiler.explain.inspection import model_file
from lprc.compiler.explain.name_lookup import Match, find_name
from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.operators import LINEAR
from lprc.core.graph.provenance import origins
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.pass_order import quantizes
from lprc.core.passing.pass_registry import pass_class
from lprc.core.quantization.around import Quantization, around
from lprc.core.quantization.qdq import is_integer_operator, qdq, uses
from lprc.core.quantization.requested import is_quantized


@dataclass(frozen=True)
class NodeFacts:
    """A node of the lowered graph.

    Attributes:
        name: Its name.
        operator: Its operator.
        origins: The source nodes that it came from.
        reads: The names of its inputs.
        writes: The names of its outputs.
        precision: What it computes in: ``int8`` and the like, or the type of its output.
        why_float: Why a linear operator computes in float, as far as passes said; None for other
            operators, for one on integers, and where nobody knows what passes did.
        quantization: What is known of the values around it.
    """

    name: str
    operator: str
    origins: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    precision: str
    why_float: str | None
    quantization: tuple[Quantization, ...]


@dataclass(frozen=True)
class Explanation:
    """All that is known of a name.

    Attributes:
        name: What was asked for.
        match: What it is.
        nodes: The nodes of the lowered graph that it is, or became; empty where it vanished.
        layers: The layers of the engine that stand for them.
        events: What passes did to them, and left alone; None where there is no log.
        engine: What the emitter said of them.
        exclusions: How to keep passes away from them.
        problem: Why that can't be said: the pipeline is none of this version; None where it can.
    """

    name: str
    match: Match
    nodes: tuple[NodeFacts, ...]
    layers: tuple[EngineLayer, ...]
    events: tuple[Event, ...] | None
    engine: tuple[dict[str, Any], ...]
    exclusions: tuple[Exclusion, ...]
    problem: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "name": self.name,
            "match": self.match,
            "nodes": [asdict(node) for node in self.nodes],
            "layers": [asdict(layer) for layer in self.layers],
            "events": None if self.events is None else [event.document() for event in self.events],
            "engine": list(self.engine),
            "exclusions": [asdict(exclusion) for exclusion in self.exclusions],
            "problem": self.problem,
        }


def explain(path: Path, name: str) -> Explanation:
    """Explain the node, source node, value or engine layer `name` of an artefact or model.

    Raises:
        InvalidModelError: The artefact or model can't be read.
        UsageError: Nothing in it has that name; the hint has the nearest.
    """
    file, manifest = model_file(path)
    if manifest is None and (file.parent / FILE).is_file() and file.name == "lowered.onnx":
        file, manifest = model_file(file.parent)
    model = load(file)
    folder = file.parent
    layers = engine_layers(folder) if manifest is not None else []
    events = read_log(folder) if manifest is not None else None
    nodes = [node for graph in editing.graphs(model) for node in graph]
    match, matched = find_name(name, model, nodes, layers, events or [], str(path))
    names = {node.name or "" for node in matched}
    sources = {origin for node in matched for origin in origins(node)}
    if match in ("vanished node", "source node"):
        sources.add(name)
    report = (manifest or {}).get("emitter")
    concerning = None if events is None else tuple(_concerning(events, names, sources))
    options, problem = _exclusions(manifest, _to_exclude(name, match, matched))
    return Explanation(
        name=name,
        match=match,
        nodes=tuple(_facts(node, _why_float(node, manifest, concerning)) for node in matched),
        layers=tuple(layer for layer in layers if layer.name == name or names & set(layer.nodes)),
        events=concerning,
        engine=tuple(_reported(report, names)),
        exclusions=options,
        problem=problem,
    )


def _exclusions(
    manifest: dict[str, Any] | None, nodes: tuple[str, ...]
) -> tuple[tuple[Exclusion, ...], str | None]:
    """The exclusions, and why there are none where the pipeline can't be read any more."""
    try:
        return exclusions(None if manifest is None else str(manifest["pipeline"]), nodes), None
    except UsageError as error:
        return (), f"the artefact's pipeline is none of this version of lprc: {error.message}"


def _facts(node: ir.Node, why_float: str | None) -> NodeFacts:
    return NodeFacts(
        name=node.name or "",
        operator=node.op_type,
        origins=origins(node),
        reads=tuple(value.name or "" for value in node.inputs if value is not None),
        writes=tuple(value.name or "" for value in node.outputs),
        precision=_precision(node),
        why_float=why_float,
        quantization=tuple(around(node)),
    )


def _why_float(
    node: ir.Node, manifest: dict[str, Any] | None, events: tuple[Event, ...] | None
) -> str | None:
    if manifest is None or events is None:
        return None
    if not editing.is_op(node, *LINEAR) or is_quantized(node):
        return None
    names = {str(entry["pass"]).partition("{")[0] for entry in manifest["passes"]}
    quantizers = {name for name in names if _quantizes(name)}
    if not quantizers:
        return "no pass of the pipeline quantises"
    return next(
        (
            f"{event.pass_name}: {event.note}"
            for event in reversed(events)
            if not event.rewrote and event.pass_name in quantizers and event.node == node.name
        ),
        "no pass said why",
    )


def _quantizes(pass_name: str) -> bool:
    """Whether the pass decides what is computed on integers.

    Its options are not looked at, and one that this version of lprc does not have decides nothing:
    the artefact may be an old one.
    """
    try:
        return quantizes(pass_class(pass_name).leaves)
    except UsageError:
        return False


def _precision(node: ir.Node) -> str:
    """What a node is asked to compute in."""
    if is_integer_operator(node) or (
        editing.is_op(node, *LINEAR, "MaxPool") and is_quantized(node)
    ):
        types = (each.dtype for each in around(node) if each.role in ("activation", "weight"))
        return " × ".join(dict.fromkeys(each.lower() for each in types if each)) or "integers"
    dtype = node.outputs[0].dtype if node.outputs else None
    return "not known" if dtype is None else dtype.name.lower()


def _concerning(events: list[Event], names: set[str], sources: set[str]) -> Iterator[Event]:
    for event in events:
        if event.node and (event.node in names or sources.intersection(event.origins)):
            yield event


def _reported(report: Any, names: set[str]) -> Iterator[dict[str, Any]]:
    """What TensorRT's emitter says of operators that are not int8."""
    listed = report.get("float") if isinstance(report, dict) else None
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("node") in names:
            yield entry


def _to_exclude(name: str, match: Match, matched: Iterable[ir.Node]) -> tuple[str, ...]:
    """The names of source nodes that passes know it by.

    Passes decide by operators that multiply: of a value, or a node that does not, those that read
    it are to be named.
    """
    nodes = list(matched)
    computing = [node for node in nodes if editing.is_op(node, *LINEAR)]
    if match == "vanished node" or (match == "source node" and computing):
        return (name,)
    computing = computing or [user for node in nodes for user in _readers(node)] or nodes
    return tuple(dict.fromkeys(_source_name(node) for node in computing))


def _source_name(node: ir.Node) -> str:
    came_from = origins(node)
    return node.name or "" if node.name in came_from or not came_from else came_from[0]


def _readers(node: ir.Node) -> Iterator[ir.Node]:
    """The linear operators that read what `node` makes, through Q/DQ and what moves elements."""
    pending, seen = [node], {node}
    while pending:
        for output in pending.pop().outputs:
            for user, _ in uses(output):
                if user in seen:
                    continue
                seen.add(user)
                if editing.is_op(user, *LINEAR):
                    yield user
                elif qdq(user) is not None:
                    pending.append(user)
