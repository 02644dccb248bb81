"""The layers of an engine, read from TensorRT's log or from its engine inspector.

Stands alone: it is copied into kits.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LINE = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<type>\w*), Inputs: (?P<inputs>.*?), "
    r"Constants: (?P<constants>.*?), Outputs: (?P<outputs>.*?), "
    r"TacticName: (?P<tactic>.*?), StreamId: \d+, Metadata: ?(?P<nodes>.*)"
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<shape>[^]]*)\], .*?"
    r"Datatype: (?P<type>\w+), Format: (?P<format>.*?)\}"
)
_NODE = "[ONNX Layer: "


def from_log(lines: list[str]) -> list[dict[str, Any]]:
    """The layers that the builder lists in its verbose log.

    Each has ``name``, ``type`` (the vendor's word for its kind), ``inputs``, ``constants`` and
    ``outputs`` (each with ``name``, ``shape``, ``type`` and ``format``), ``kernel`` and ``nodes``:
    the ONNX nodes that it stands for.
    """
    return [
        {
            "name": match["name"],
            "type": match["type"],
            **{key: _tensors(match[key]) for key in ("inputs", "constants", "outputs")},
            "kernel": match["tactic"],
            "nodes": _nodes(match["nodes"]),
        }
        for match in map(_LINE.match, lines)
        if match is not None
    ]


def from_inspector(text: str) -> list[dict[str, Any]]:
    """The layers in the JSON of the engine inspector, in the form of `from_log`."""
    return [
        {
            "name": str(layer.get("Name", "")),
            "type": str(layer.get("LayerType", "")),
            **{
                key.lower(): [_inspected(tensor) for tensor in layer.get(key, ())]
                for key in ("Inputs", "Constants", "Outputs")
            },
            "kernel": str(layer.get("TacticName", "")),
            "nodes": _nodes(str(layer.get("Metadata", ""))),
        }
        for layer in json.loads(text).get("Layers", ())
        if isinstance(layer, dict)
    ]


def _tensors(text: str) -> list[dict[str, Any]]:
    return [
        {
            "name": match["name"],
            "shape": [int(size) for size in match["shape"].split(",") if size.strip()],
            "type": match["type"],
            "format": match["format"].strip(),
        }
        for match in _TENSOR.finditer(text)
    ]


_TYPES = (
    (re.compile(r"\bint8", re.IGNORECASE), "Int8"),
    (re.compile(r"bf16|bfloat", re.IGNORECASE), "BFloat16"),  # before float16, which is in it
    (re.compile(r"half|fp16|float16", re.IGNORECASE), "Half"),
    (re.compile(r"fp8|float8", re.IGNORECASE), "FP8"),
    (re.compile(r"float|fp32", re.IGNORECASE), "Float"),
)


def _inspected(tensor: dict[str, Any]) -> dict[str, Any]:
    layout = str(tensor.get("Format/Datatype", tensor.get("Format", "")))
    kind = tensor.get("Datatype")
    if kind is None:  # TensorRT 10 says both in one text
        kind = next((name for pattern, name in _TYPES if pattern.search(layout)), "")
    return {
        "name": str(tensor.get("Name", "")),
        "shape": list(tensor.get("Dimensions", ())),
        "type": str(kind),
        "format": layout,
    }


def _nodes(text: str) -> list[str]:
    # Behind the bracket stand a separator, which differs between versions (U+001E, U+001F or
    # nothing), and what the builder made of the node, as in "]__gemm_from_conv1x1".
    names = [each.rpartition("]")[0] for each in text.split(_NODE)[1:]]
    return list(dict.fromkeys(name for name in names if name))
