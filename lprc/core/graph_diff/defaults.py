"""What an attribute that is left out means."""

from __future__ import annotations

import functools
import re

import onnx

_ONES = frozenset(["dilations", "strides"])
_ZEROS = frozenset(["output_padding", "pads"])
_WINDOWED = re.compile(r"(Conv\w*|\w+Pool)\Z")


def is_default(operator: str, name: str, text: str) -> bool:
    """Whether an attribute's value, as text, is what leaving it out means.

    By the newest version of the operator's schema, and the specification of windows, whose
    defaults depend on the rank and are not in the schema. Other domains have no defaults.
    """
    if _WINDOWED.match(operator) and name in _ONES | _ZEROS:
        return set(re.findall(r"-?\d+", text)) <= ({"1"} if name in _ONES else {"0"})
    default = _schema_default(operator, name)
    return default is not None and default == text


@functools.cache
def _schema_default(operator: str, name: str) -> str | None:
    """The default as the printer writes it; None where there is none."""
    if not onnx.defs.has(operator):
        return None
    attribute = onnx.defs.get_schema(operator).attributes.get(name)
    if attribute is None or attribute.default_value.type == onnx.AttributeProto.UNDEFINED:
        return None
    import onnx_ir as ir

    from lprc.core.graph.printer import attribute_text

    return attribute_text(ir.serde.deserialize_attribute(attribute.default_value))
