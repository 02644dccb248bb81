"""Whether local functions can be called, and whether attributes refer to what there is."""

from __future__ import annotations

import graphlib

import onnx

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io.bodies import blame, with_subgraphs

_Name = tuple[str, str, str]


def check_functions(proto: onnx.ModelProto, where: str) -> None:
    """Refuse functions of one name, and those that call themselves, also through others.

    Raises:
        InvalidModelError: Naming the function.
    """
    by_name: dict[_Name, onnx.FunctionProto] = {}
    for function in proto.functions:
        name = (function.domain, function.name, function.overload)
        if name in by_name:
            raise InvalidModelError(
                f"there are two functions '{_shown(name)}'",
                where=where,
                hint="each domain and name may have one function",
            )
        by_name[name] = function
    calls = {
        name: {
            called
            for body in with_subgraphs(function)
            for node in body.node
            if (called := (node.domain, node.op_type, node.overload)) in by_name
        }
        for name, function in by_name.items()
    }
    try:
        graphlib.TopologicalSorter(calls).prepare()
    except graphlib.CycleError as error:
        cycle = " <- ".join(map(_shown, error.args[1][:6]))
        raise InvalidModelError(
            f"function '{_shown(error.args[1][0])}' calls itself: {cycle}", where=where
        ) from error


def check_references(proto: onnx.ModelProto, where: str) -> None:
    """Refuse attributes that take their value from a caller where there is none.

    Raises:
        InvalidModelError: Naming the node.
    """
    for body in with_subgraphs(proto.graph):
        for node in body.node:
            for attribute in node.attribute:
                if attribute.ref_attr_name:
                    raise blame(
                        node,
                        f"attribute '{attribute.name}' refers to the attribute "
                        f"'{attribute.ref_attr_name}' of a function, and it is in none",
                        where,
                    )
    for function in proto.functions:
        declared = {*function.attribute, *(default.name for default in function.attribute_proto)}
        for body in with_subgraphs(function):
            for node in body.node:
                for attribute in node.attribute:
                    if attribute.ref_attr_name and attribute.ref_attr_name not in declared:
                        raise blame(
                            node,
                            f"attribute '{attribute.name}' refers to '{attribute.ref_attr_name}', "
                            "which its function does not declare",
                            f"{where}: function '{function.name}'",
                        )


def _shown(name: _Name) -> str:
    domain, function, overload = name
    return f"{domain}::{function}" + (f":{overload}" if overload else "")
