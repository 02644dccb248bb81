"""A model between two passes as bytes, with all that a later pass may ask of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import Error as ProtobufError

from lprc.compiler.cache.entry_format import join, split
from lprc.core.errors import LprcError
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import to_bytes, weight_bytes
from lprc.core.passing.reference import Reference, reference, restore
from lprc.core.process.collector import collector_paused


@dataclass(frozen=True)
class Snapshot:
    """A model as it was.

    Attributes:
        hash: SHA-256 of the rest, in hex.
        header: JSON data.
        payload: The graphs.
    """

    hash: str
    header: dict[str, Any]
    payload: bytes


def freeze(model: ir.Model, *, limit: int) -> Snapshot | None:
    """`model` as bytes; None where it holds what can't be kept, or more than `limit` bytes.

    What can't be kept are Python objects in the ``meta`` of the model, its graphs, nodes or values,
    as a third party's pass may leave them for another; ``metadata_props`` are kept.
    """
    if weight_bytes(model) > limit or _has_foreign_meta(model):
        return None
    parts = {"model": to_bytes(model)}
    kept: dict[str, list[int]] = {}
    before = reference(model)
    if before is not None:
        parts["reference"] = to_bytes(before.model)
        kept = {name: ids.tolist() for name, ids in sorted(before.kept.items())}
    table, payload = join(parts)
    header = {"parts": table, "kept": kept}
    digest = hashlib.sha256(json.dumps(header).encode())
    digest.update(payload)
    return Snapshot(digest.hexdigest(), header, payload)


class UnreadableEntryError(LprcError):
    """An entry of the cache that looked right and is no model: what needs it runs again without."""


def thaw(header: dict[str, Any], payload: bytes, model: ir.Model) -> None:
    """Make `model`, whatever it is, what `freeze` saw.

    Raises:
        UnreadableEntryError: It is no model after all; `model` is as it was.
    """
    parts = split(header["parts"], payload)
    try:
        graphs = {name: _graph(data) for name, data in parts.items()}
    except (ProtobufError, ir.serde.SerdeError, ValueError, TypeError, KeyError) as error:
        raise UnreadableEntryError("a model in the cache can't be read") from error
    _replace(model, graphs["model"])
    if "reference" in graphs:
        kept = {name: np.array(ids, np.int64) for name, ids in header["kept"].items()}
        restore(model, Reference(graphs["reference"], kept))


@collector_paused()
def _graph(data: bytes) -> ir.Model:
    # It was checked when it was read first, and is ours since.
    return ir.serde.deserialize_model(onnx.ModelProto.FromString(data))


def _replace(model: ir.Model, other: ir.Model) -> None:
    model.graph = other.graph
    model.functions.clear()
    model.functions.update(other.functions)
    model.metadata_props.clear()
    model.metadata_props.update(other.metadata_props)
    model.meta.clear()
    for name in (
        "ir_version",
        "producer_name",
        "producer_version",
        "domain",
        "model_version",
        "doc_string",
        "device_configurations",
    ):
        setattr(model, name, getattr(other, name))


_OURS = frozenset({"lprc.reference", "lprc.taken_names"})


def _has_foreign_meta(model: ir.Model) -> bool:
    if set(model.meta) - _OURS:
        return True
    bodies: list[ir.Graph | ir.Function] = [*editing.graphs(model), *model.functions.values()]
    for graph in bodies:
        if set(graph.meta) - _OURS:
            return True
        values: list[ir.Value] = [*graph.inputs]
        if isinstance(graph, ir.Graph):
            values += graph.initializers.values()
        for node in graph:
            if node.meta:
                return True
            values += node.outputs
        if any(value.meta for value in values):
            return True
    return False
