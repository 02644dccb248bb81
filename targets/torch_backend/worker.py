"""What both of torch's compilers have in common: a process that is told what to do by a file.

python -m lprc.targets.torch_backend.build_aoti request.json --report FILE --failure FILE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import load
from lprc.core.process.worker import end_with_parent


class Failure(Exception):
    """A failure that the user can do something about.

    Args:
        message: In one line.
        hint: What to do next.
        where: The node that it is about, if one.
    """

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.where = message, hint, where


@dataclass(frozen=True)
class Request:
    """What to build.

    Attributes:
        model: The lowered graph.
        file: What to write.
        options: The target's options, by name.
        sample: Inputs that the model was made to run on, by name.
    """

    model: ir.Model
    file: Path
    options: dict[str, Any]
    sample: dict[str, np.ndarray]


def serve(description: str, build: Callable[[Request], dict[str, Any]]) -> int:
    """Build what the request on the command line says; the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("request", type=Path)
    parser.add_argument("--report", type=Path, required=True)
    parser.add_argument("--failure", type=Path, required=True)
    arguments = parser.parse_args()
    end_with_parent()
    settings = json.loads(arguments.request.read_text(encoding="utf-8"))
    try:
        with np.load(settings["sample"]) as arrays:
            sample = dict(zip(settings["inputs"], (arrays[key] for key in arrays), strict=True))
        request = Request(
            load(Path(settings["model"])), Path(settings["file"]), settings["options"], sample
        )
        report = build(request)
    except Failure as failure:
        complaint = {"message": failure.message, "hint": failure.hint, "where": failure.where}
    except LprcError as error:
        complaint = {"message": error.message, "hint": error.hint or "", "where": error.where or ""}
    else:
        arguments.report.write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
        return 0
    arguments.failure.write_text(json.dumps(complaint, ensure_ascii=False), encoding="utf-8")
    return 1


def first_line(error: Exception) -> str:
    """What torch's exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
