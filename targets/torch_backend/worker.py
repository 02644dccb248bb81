"""What the processes that run torch's compilers have in common: what they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.onnx_io.model_io import load
from lprc.core.process import exchange


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
    return exchange.serve(description, lambda settings: build(_request(settings)))


def first_line(error: Exception) -> str:
    """What torch's exception says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]


def _request(settings: dict[str, Any]) -> Request:
    """What `lprc.targets.torch_process` has written."""
    with np.load(settings["sample"]) as arrays:
        sample = dict(zip(settings["inputs"], (arrays[key] for key in arrays), strict=True))
    return Request(
        load(Path(settings["model"])), Path(settings["file"]), settings["options"], sample
    )
