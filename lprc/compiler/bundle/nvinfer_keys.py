"""The keys of nvinfer's configuration files that bundles use, with their types and ranges.

After the tables "Property Group Supported Keys" and "Class-attributes Group Supported Keys" of the
page Gst-nvinfer in the DeepStream Developer Guide, and ``gstnvinfer_property_parser.h`` of
DeepStream's sources, which read the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Groups = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        kind: How its value is written: ``integer``, ``boolean`` (0 or 1), ``float``, ``string``,
            ``path``, ``integers`` or ``floats`` (divided by semicolons).
        least: The smallest number.
        greatest: The largest one.
        count: How many numbers a list has; none for any number.
    """

    kind: str
    least: float = 0
    greatest: float = float("inf")
    count: tuple[int, ...] = ()


_ANY = float("-inf")

PROPERTY: Mapping[str, Key] = {
    "gpu-id": Key("integer"),
    "gie-unique-id": Key("integer", 1),
    "process-mode": Key("integer", 1, 2),
    "network-type": Key("integer", 0, 3),
    "network-mode": Key("integer", 0, 2),
    "batch-size": Key("integer", 1, 1024),
    "interval": Key("integer"),
    "model-engine-file": Key("path"),
    "infer-dims": Key("integers", 1, count=(3,)),
    "network-input-order": Key("integer", 0, 1),
    "model-color-format": Key("integer", 0, 2),
    "net-scale-factor": Key("float", 1e-12),
    "offsets": Key("floats", _ANY, count=(1, 3)),
    "maintain-aspect-ratio": Key("boolean"),
    "symmetric-padding": Key("boolean"),
    "scaling-filter": Key("integer", 0, 5),
    "output-tensor-meta": Key("boolean"),
    "custom-lib-path": Key("path"),
    "parse-bbox-func-name": Key("string"),
    "parse-classifier-func-name": Key("string"),
    "labelfile-path": Key("path"),
    "num-detected-classes": Key("integer", 1),
    "cluster-mode": Key("integer", 0, 4),
    "classifier-type": Key("string"),
    "classifier-threshold": Key("float", 0, 1),
    "classifier-async-mode": Key("boolean"),
    "operate-on-gie-id": Key("integer", 1),
    "operate-on-class-ids": Key("integers"),
    "input-object-min-width": Key("integer"),
    "input-object-min-height": Key("integer"),
    "secondary-reinfer-interval": Key("integer"),
}

CLASS_ATTRIBUTES: Mapping[str, Key] = {
    "pre-cluster-threshold": Key("float", 0, 1),
    "topk": Key("integer", -1),
}

_NUMBERS: Mapping[str, Callable[[str], float]] = {
    "integer": int,
    "boolean": int,
    "integers": int,
    "float": float,
    "floats": float,
}


def faults(groups: Groups) -> list[str]:
    """What is wrong with a configuration, one line a key; empty where it is right."""
    wrong = []
    for group, values in groups.items():
        documented = CLASS_ATTRIBUTES if group.startswith("class-attrs-") else PROPERTY
        if group != "property" and documented is PROPERTY:
            wrong.append(f"[{group}] is no group")
            continue
        for name, value in values.items():
            fault = _fault(documented.get(name), value)
            if fault:
                wrong.append(f"[{group}] {name} = {value}: {fault}")
    return wrong


def _fault(key: Key | None, value: str) -> str:
    if key is None:
        return "no such key"
    if key.kind not in _NUMBERS:
        return "" if value and value == value.strip() else "empty, or with blanks around it"
    listed = key.kind.endswith("s")
    try:
        given = [_NUMBERS[key.kind](part) for part in (value.split(";") if listed else [value])]
    except ValueError:
        return f"not {key.kind}"
    if key.count and len(given) not in key.count:
        return f"{len(given)} numbers"
    greatest = 1 if key.kind == "boolean" else key.greatest
    return "" if all(key.least <= item <= greatest for item in given) else "out of range"
