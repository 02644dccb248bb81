"""Mutations that keep a model readable and make its graph another one: names, nodes, wiring."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import defs, helper

from . import stumbling_blocks as edges
from .stumbling_blocks import choice

Rng = np.random.Generator
OPERATORS = sorted({schema.name for schema in defs.get_all_schemas() if not schema.domain})


class NothingToDoError(Exception):
    """The model has nothing that this mutation changes."""


def graphs(model: onnx.ModelProto) -> list:
    """The main graph, its subgraphs, and functions."""
    result: list = [model.graph]
    queue: list = [model.graph, *model.functions]
    result += model.functions
    while queue:
        for node in queue.pop().node:
            for attribute in node.attribute:
                inner = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
                result += inner
                queue += inner
    return result


def a_graph(rng: Rng, model: onnx.ModelProto):
    everything = graphs(model)
    return model.graph if rng.random() < 0.5 else choice(rng, everything)


def a_node(rng: Rng, model: onnx.ModelProto) -> tuple:
    everything = [graph for graph in graphs(model) if len(graph.node)]
    if not everything:
        raise NothingToDoError
    graph = choice(rng, everything)
    return graph, choice(rng, list(graph.node))


def value_names(graph) -> list[str]:
    names = [value if isinstance(value, str) else value.name for value in graph.input]
    names += [name for node in graph.node for name in (*node.output, *node.input)]
    return [*names, *(tensor.name for tensor in getattr(graph, "initializer", ()))] or [""]


def rewire(rng: Rng, model: onnx.ModelProto) -> None:
    """An input becomes another value of the graph, or of any other: cycles, wrong types, shapes."""
    graph, node = a_node(rng, model)
    if not node.input:
        raise NothingToDoError
    source = graph if rng.random() < 0.8 else a_graph(rng, model)
    node.input[int(rng.integers(len(node.input)))] = choice(rng, value_names(source))


def change_inputs(rng: Rng, model: onnx.ModelProto) -> None:
    graph, node = a_node(rng, model)
    how = int(rng.integers(4))
    if how == 0 and node.input:
        node.input.pop(int(rng.integers(len(node.input))))
    elif how == 1:
        node.input.append(choice(rng, value_names(graph)))
    elif how == 2 and node.input:
        node.input[int(rng.integers(len(node.input)))] = ""
    elif node.input:
        node.input[int(rng.integers(len(node.input)))] = choice(rng, edges.NAMES)


def change_outputs(rng: Rng, model: onnx.ModelProto) -> None:
    graph, node = a_node(rng, model)
    how = int(rng.integers(5))
    if how == 0 and node.output:
        node.output.pop()
    elif how == 1:
        node.output.append(f"more{rng.integers(9)}")
    elif how == 2 and node.output:
        node.output[int(rng.integers(len(node.output)))] = ""
    elif how == 3 and node.output:
        node.output[int(rng.integers(len(node.output)))] = choice(rng, value_names(graph))
    else:
        node.output.append(choice(rng, edges.NAMES))


def rename(rng: Rng, model: onnx.ModelProto) -> None:
    """A value gets another name everywhere: one with odd characters, or one that is taken."""
    graph = a_graph(rng, model)
    names = value_names(graph)
    old = choice(rng, names)
    new = choice(rng, edges.NAMES) if rng.random() < 0.7 else choice(rng, names)
    for body in graphs(model) if rng.random() < 0.7 else [graph]:
        for node in body.node:
            for field in (node.input, node.output):
                for index, name in enumerate(field):
                    if name == old:
                        field[index] = new
        if isinstance(body, onnx.FunctionProto):
            continue
        for holders in (body.input, body.output, body.initializer, body.value_info):
            for holder in holders:
                if holder.name == old:
                    holder.name = new


def change_operator(rng: Rng, model: onnx.ModelProto) -> None:
    _, node = a_node(rng, model)
    how = rng.random()
    if how < 0.75:
        node.op_type = choice(rng, OPERATORS)
    elif how < 0.9:
        node.domain = choice(
            rng, ["ai.onnx", "ai.onnx.ml", "com.microsoft", "my", "pkg", "\x1b[0m"]
        )
    else:
        node.op_type = choice(rng, edges.NAMES)


def change_nodes(rng: Rng, model: onnx.ModelProto) -> None:
    graph, node = a_node(rng, model)
    how = int(rng.integers(4))
    if how == 0:
        graph.node.remove(node)
    elif how == 1:
        graph.node.add().CopyFrom(node)
    elif how == 2:
        copy = graph.node.add()
        copy.CopyFrom(node)
        for index, name in enumerate(copy.output):
            copy.output[index] = f"{name}_again"
    else:
        items = [type(node).FromString(one.SerializeToString()) for one in graph.node]
        del graph.node[:]
        graph.node.extend(items[index] for index in rng.permutation(len(items)))


def insert_node(rng: Rng, model: onnx.ModelProto) -> None:
    """An operator with one input between a value and what reads it, or before an output."""
    graph, node = a_node(rng, model)
    if not node.input:
        raise NothingToDoError
    index = int(rng.integers(len(node.input)))
    kind = choice(rng, [
        "Identity", "Relu", "Cast", "Neg", "Clip", "Dropout", "Shape", "Size", "Flatten", "Squeeze",
        "Softmax", "Transpose", "Reshape", "Slice", "Expand", "ReduceMean", "Sqrt", "Not", "If",
        "SequenceConstruct", "Optional", "QuantizeLinear", "DynamicQuantizeLinear", "NonZero", "Unique",
    ])  # fmt: skip
    name = f"inserted{rng.integers(99)}"
    new = helper.make_node(kind, [node.input[index]], [name])
    if kind == "Cast":
        new.attribute.append(helper.make_attribute("to", int(choice(rng, edges.TYPES[:24]))))
    node.input[index] = name
    position = list(graph.node).index(node)
    graph.node.insert(position, new)


def into_subgraph(rng: Rng, model: onnx.ModelProto) -> None:
    """A node goes into both branches of an If."""
    graph, node = a_node(rng, model)
    if isinstance(graph, onnx.FunctionProto) or not node.output:
        raise NothingToDoError
    old = onnx.NodeProto.FromString(node.SerializeToString())
    branches = []
    for number in range(2):
        inner = onnx.NodeProto.FromString(old.SerializeToString())
        for index, name in enumerate(inner.output):
            inner.output[index] = f"{name}_in{number}" if name else ""
        outputs = [onnx.ValueInfoProto(name=name) for name in inner.output if name]
        branches.append(helper.make_graph([inner], f"branch{number}", [], outputs))
    condition = f"condition{rng.integers(99)}"
    graph.initializer.append(
        helper.make_tensor(condition, onnx.TensorProto.BOOL, [], [bool(rng.integers(2))])
    )
    node.CopyFrom(helper.make_node(
        "If", [condition], [name for name in old.output if name], then_branch=branches[0],
        else_branch=branches[1],
    ))  # fmt: skip


def into_function(rng: Rng, model: onnx.ModelProto) -> None:
    """A node becomes the body of a function of the model, which is called in its place."""
    _graph, node = a_node(rng, model)
    name = f"F{rng.integers(3)}"
    inputs = list(dict.fromkeys(name for name in node.input if name))
    outputs = [name for name in node.output if name]
    function = helper.make_function(
        "mine", name, inputs, outputs,
        [onnx.NodeProto.FromString(node.SerializeToString())], list(model.opset_import),
    )  # fmt: skip
    model.functions.append(function)
    if not any(entry.domain == "mine" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("mine", 1))
    node.CopyFrom(helper.make_node(name, inputs, outputs, domain="mine"))


MUTATIONS = (
    rewire, rewire, change_inputs, change_outputs, rename, change_operator, change_nodes, insert_node,
    insert_node, into_subgraph, into_function,
)  # fmt: skip
