"""Whether an engine computes in the precision that the lowered graph asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.provenance import describe, origins
from lprc.core.quantization.requested import requested

Layer = Mapping[str, Any]

_GENERATED = frozenset(["kgen", "shape_call", "Reformat", "NoOp", "PointWise", "PointWiseV2"])
"""Kinds of layers that quantise, add and move around what another layer computes."""

_INT8 = "Int8"

_VOLUME_POOL = "TensorRT pools volumes in float, which picks the same elements"

_FLOAT_ONLY = {"ConvTranspose": "not quantised: TensorRT-RTX computes every ConvTranspose in float"}


@dataclass(frozen=True)
class Precision:
    """The type that one operator of the lowered graph is computed in.

    Attributes:
        node: Its name.
        place: Its name and its source's, for messages.
        origins: The source nodes.
        operator: Its ONNX operator.
        asked: Whether the graph asks for int8.
        types: The types of what the engine's layers for it read, without their constants; empty
            where no layer says that it stands for the operator.
        why: Why the graph does not ask for int8, if a pass said.
        never: Why no engine computes it on int8, whatever the graph asks for; empty where some do.
    """

    node: str
    place: str
    origins: tuple[str, ...]
    operator: str
    asked: bool
    types: tuple[str, ...]
    why: str
    never: str = ""

    @property
    def is_int8(self) -> bool:
        """Whether it is computed on int8."""
        return bool(self.types) and set(self.types) == {_INT8}

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "node": self.node,
            "sources": list(self.origins),
            "operator": self.operator,
            "asked": "int8" if self.asked else "float",
            "reads": list(self.types),
            "why": self._reason(),
        }

    def _reason(self) -> str:
        if self.never:
            return self.never
        if self.asked and not self.types:
            return "no layer of the engine says that it stands for it"
        if self.asked:
            return "TensorRT has no int8 kernel for it on this GPU, or on the weakest of several"
        return self.why or _FLOAT_ONLY.get(self.operator, "not quantised in the lowered graph")


def precisions(
    model: ir.Model, layers: Sequence[Layer], skips: Mapping[str, str]
) -> list[Precision]:
    """The linear operators and MaxPools of the lowered graph, in its order."""
    by_node: dict[str, list[Layer]] = {}
    for layer in layers:
        for name in layer["nodes"]:
            by_node.setdefault(name, []).append(layer)
    return [
        Precision(
            node=request.node.name or "",
            place=describe(request.node),
            origins=origins(request.node),
            operator=request.node.op_type,
            asked=request.quantized,
            types=_read_types(by_node.get(request.node.name or "", ())),
            why=skips.get(request.node.name or "", ""),
            never=_VOLUME_POOL if _pools_volumes(request.node) else "",
        )
        for request in requested(model)
    ]


def _pools_volumes(node: ir.Node) -> bool:
    return node.op_type == "MaxPool" and len(editing.attribute(node, "kernel_shape", ())) > 2


def _read_types(layers: Sequence[Layer]) -> tuple[str, ...]:
    computing = [layer for layer in layers if layer["type"] not in _GENERATED] or layers
    return tuple(
        dict.fromkeys(str(tensor["type"]) for layer in computing for tensor in layer["inputs"])
    )


def document(precisions: Iterable[Precision]) -> dict[str, Any]:
    """How many operators are int8, and which are not and why, as JSON data for the manifest."""
    listed = list(precisions)
    total = Counter(precision.operator for precision in listed)
    asked = Counter(precision.operator for precision in listed if precision.asked)
    got = Counter(precision.operator for precision in listed if precision.is_int8)
    return {
        "operators": {
            name: {"all": total[name], "asked": asked[name], "int8": got[name]}
            for name in sorted(total)
        },
        "float": [precision.document() for precision in listed if not precision.is_int8],
    }


def unmet(precisions: Iterable[Precision]) -> list[Precision]:
    """The operators that the graph asks to be int8, that can be and that are not."""
    return [
        precision
        for precision in precisions
        if precision.asked and not precision.is_int8 and not precision.never
    ]
