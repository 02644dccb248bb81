"""Passes written over `onnx.ModelProto` or GraphSurgeon graphs, made passes of ours.

Both lose nodes' metadata on the way. Origins are restored by node name, then by the name of the
first output; a node that is new under both comes from the nodes that it replaced: those gone
nodes whose origins its neighbours carry, or, where that finds nothing, from its inputs' producers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir as ir

from lprc.core.contract import Contract, exact
from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.model_io import from_proto, to_bytes
from lprc.core.pass_base import Pass, PassContext
from lprc.core.printer import model_hash
from lprc.core.provenance import KEY, inherit, origins, set_origins

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

    Raises:
        InvalidModelError: It returned a graph that is not valid.
    """
    try:
        result = from_proto(function(onnx.ModelProto.FromString(to_bytes(model))))
    except InvalidModelError as error:
        raise InvalidModelError(error.message, where=f"result of pass '{name}'") from error
    _restore_origins(model, result)
    if _same(model, result) or not context.rewrite(None, "rewrote the graph"):
        return
    model.graph = result.graph
    model.ir_version = result.ir_version
    model.functions.clear()
    model.functions.update(result.functions)


def _same(before: ir.Model, after: ir.Model) -> bool:
    return model_hash(before) == model_hash(after)


def _restore_origins(before: ir.Model, after: ir.Model) -> None:
    by_name = {node.name: origins(node) for node in before.graph.all_nodes() if node.name}
    by_output = {
        value.name: origins(node) for node in before.graph.all_nodes() for value in node.outputs
    }
    for node in after.graph.all_nodes():
        found = by_name.get(node.name or "") or by_output.get(node.outputs[0].name)
        if found is not None:
            set_origins(node, found)
        elif KEY not in node.metadata_props:
            producers = [value.producer() for value in node.inputs if value is not None]
            inherit(node, [producer for producer in producers if producer is not None])


def _pass_class(
    name: str,
    documentation: str | None,
    contract: Contract,
    run: Callable[[Pass, ir.Model, PassContext], None],
) -> type[Pass]:
    import dataclasses

    body = {"name": name, "contract": contract, "run": run, "__doc__": documentation or name}
    made = type(name.title().replace("-", ""), (Pass,), body)
    return dataclasses.dataclass(frozen=True)(made)
