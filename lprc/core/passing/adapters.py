"""Passes written over `onnx.ModelProto` or GraphSurgeon graphs, made passes of ours.

Both lose nodes' metadata on the way; `OriginMap` says what a node that comes back comes from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir as ir

from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.graph.origin_map import OriginMap
from lprc.core.graph.printer import model_hash
from lprc.core.graph.provenance import stamp
from lprc.core.onnx_io.model_io import PROTOBUF_LIMIT, from_proto, to_bytes, weight_bytes
from lprc.core.passing.contract import Contract, exact
from lprc.core.passing.pass_base import Pass, PassContext

OverProto = Callable[[onnx.ModelProto], onnx.ModelProto]
OverGraphSurgeon = Callable[[Any], Any]


def onnx_pass(name: str, function: OverProto, contract: Contract = exact) -> type[Pass]:
    """A pass class from a function that takes and returns a `ModelProto`.

    Args:
        name: The pass's name.
        function: May change its argument; its result counts. Its docstring documents the pass.
        contract: What it promises.
    """

    def run(_: Pass, model: ir.Model, context: PassContext) -> None:
        run_over_proto(model, context, function, name)

    return _pass_class(name, function.__doc__, contract, run)


def graphsurgeon_pass(
    name: str, function: OverGraphSurgeon, contract: Contract = exact
) -> type[Pass]:
    """A pass class from a function over ``onnx_graphsurgeon.Graph``.

    Args:
        name: The pass's name.
        function: Changes its argument in place, or returns another graph.
        contract: What it promises.
    """

    def over_proto(proto: onnx.ModelProto) -> onnx.ModelProto:
        try:
            import onnx_graphsurgeon as gs
        except ImportError as error:
            raise MissingDependencyError(
                "needs onnx-graphsurgeon",
                where=f"pass '{name}'",
                hint='pip install "lprc[simplify]"',
            ) from error
        graph = gs.import_onnx(proto)
        changed = function(graph)
        graph = graph if changed is None else changed
        exported: onnx.ModelProto = gs.export_onnx(graph.cleanup().toposort())
        exported.ir_version = proto.ir_version
        return exported

    def run(_: Pass, model: ir.Model, context: PassContext) -> None:
        run_over_proto(model, context, over_proto, name)

    return _pass_class(name, function.__doc__, contract, run)


def run_over_proto(model: ir.Model, context: PassContext, function: OverProto, name: str) -> None:
    """Run `function` over a copy of `model` and take over what it returns, if it changed anything.

    An initialiser that was an input too may come back as a constant.

    Raises:
        InvalidModelError: It returned a graph that is not valid, or another signature.
    """
    if weight_bytes(model) > PROTOBUF_LIMIT:
        context.skip(None, "larger than the 2 GiB that a ModelProto can be")
        return
    where = f"result of pass '{name}'"
    try:
        result = from_proto(function(onnx.ModelProto.FromString(to_bytes(model))))
    except InvalidModelError as error:
        raise InvalidModelError(error.message, where=error.where or where) from error
    if _signature(model.graph) != _signature(result.graph):
        raise InvalidModelError("the graph has other inputs or outputs than before", where=where)
    if model_hash(model) == model_hash(result) or not context.rewrite(None, "rewrote the graph"):
        return
    origin_map = OriginMap(model)
    model.graph = result.graph
    model.ir_version = result.ir_version
    model.functions.clear()
    model.functions.update(result.functions)
    origin_map.restore(model)
    stamp(model)


def _signature(graph: ir.Graph) -> tuple[list[str | None], list[str | None]]:
    """The names of what must be fed, and of what comes out."""
    fed = [value.name for value in graph.inputs if not value.is_initializer()]
    return fed, [value.name for value in graph.outputs]


def _pass_class(
    name: str,
    documentation: str | None,
    contract: Contract,
    run: Callable[[Pass, ir.Model, PassContext], None],
) -> type[Pass]:
    body = {"name": name, "contract": contract, "run": run, "__doc__": documentation or name}
    made = type(name.title().replace("-", ""), (Pass,), body)
    return dataclasses.dataclass(frozen=True)(made)
