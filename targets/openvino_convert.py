"""The process that converts a lowered ONNX file to OpenVINO IR; its request comes as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Convert as the JSON on standard input says."""
    import openvino as ov

    request = json.loads(sys.stdin.read())
    model = ov.convert_model(request["lowered"])
    xml = Path(request["folder"]) / "model.xml"
    ov.save_model(model, str(xml), compress_to_fp16=request["compress"])


if __name__ == "__main__":
    main()
