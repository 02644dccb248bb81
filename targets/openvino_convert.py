"""The process that converts a lowered ONNX file to OpenVINO IR.

python -m lprc.targets.openvino_convert lowered.onnx model.xml --failure FILE [--compress]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from lprc.core.process.worker import end_with_parent
from lprc.targets.openvino_node import refused_node


def main() -> int:
    """Convert as the command line says; 1 where OpenVINO refuses, with its reason in a file."""
    parser = argparse.ArgumentParser(description="Convert an ONNX file to OpenVINO IR.")
    parser.add_argument("lowered")
    parser.add_argument("xml")
    parser.add_argument("--failure", type=Path, required=True)
    parser.add_argument("--compress", action="store_true", help="weights as float16")
    arguments = parser.parse_args()
    end_with_parent()
    import openvino as ov

    try:
        model = ov.convert_model(arguments.lowered)
        _share_constants(model)
        ov.save_model(model, arguments.xml, compress_to_fp16=arguments.compress)
    except Exception as error:  # noqa: BLE001 - OpenVINO raises what it likes
        complaint = {"reason": _reason(error), "node": _refused(Path(arguments.lowered))}
        arguments.failure.write_text(json.dumps(complaint), encoding="utf-8")
        return 1
    return 0


def _refused(lowered: Path) -> str:
    """The name of the node that OpenVINO refuses; empty where that can't be told."""
    import onnx
    import openvino as ov

    def refuses(data: bytes) -> bool:
        try:
            ov.Core().read_model(data)
        except Exception:  # noqa: BLE001 - as above
            return True
        return False

    try:
        return refused_node(onnx.load(lowered), refuses)
    except (OSError, ValueError):  # weights that are too many to be inside
        return ""


def _reason(error: Exception) -> str:
    """The line of an error that tells the most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"Error|error|Unsupported|not supported", line)]
    return (telling or lines or [type(error).__name__])[-1][:300]


def _share_constants(model: Any) -> None:
    """Let equal constants be one: the importer writes four for each Q/DQ pair."""
    first_of: dict[tuple[str, tuple[int, ...], bytes], Any] = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_byte_size() > _LARGEST:
            continue
        output = node.output(0)
        key = (
            output.get_element_type().get_type_name(),
            tuple(output.get_shape()),
            node.data.tobytes(),
        )
        first = first_of.setdefault(key, output)
        if first is not output:
            for reader in output.get_target_inputs():
                reader.replace_source_output(first)


_LARGEST = 1024
"""Bytes of a constant up to which equal ones are looked for; large ones the importer shares."""


if __name__ == "__main__":
    sys.exit(main())
