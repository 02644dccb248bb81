"""The process that converts a lowered ONNX file to OpenVINO IR; its request comes as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Convert as the JSON on standard input says."""
    import openvino as ov

    request = json.loads(sys.stdin.read())
    model = ov.convert_model(request["lowered"])
    _share_constants(model)
    xml = Path(request["folder"]) / "model.xml"
    ov.save_model(model, str(xml), compress_to_fp16=request["compress"])


def _share_constants(model: Any) -> None:
    """Let equal constants be one: the importer writes four for each Q/DQ pair."""
    known: dict[tuple[str, tuple[int, ...], bytes], Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_byte_size() > _LARGEST:
            continue
        output = node.output(0)
        key = (
            output.get_element_type().get_type_name(),
            tuple(output.get_shape()),
            node.data.tobytes(),
        )
        first = known.setdefault(key, output)
        if first is not output:
            for reader in output.get_target_inputs():
                reader.replace_source_output(first)


_LARGEST = 1024
"""Bytes of a constant up to which equal ones are looked for; large ones the importer shares."""


if __name__ == "__main__":
    main()
