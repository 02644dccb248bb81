"""Graphs as they were: in memory, or in files where they are larger than a message can be."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from itertools import count
from pathlib import Path

import onnx_ir as ir

from lprc.core.onnx_io.model_io import PROTOBUF_LIMIT, save, to_bytes, weight_bytes


class GraphStore:
    """Stores graphs of which a few are looked at at a time."""

    def __init__(self) -> None:
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def stored(self, model: ir.Model, keep: Collection[bytes | Path | None]) -> bytes | Path:
        """`model` as it is now: in memory, or in a scratch folder if it is larger than 2 GB.

        Args:
            model: The graph.
            keep: What was stored before and must stay.
        """
        if weight_bytes(model) <= PROTOBUF_LIMIT:
            return to_bytes(model)
        if self._scratch is None:
            self._scratch = tempfile.TemporaryDirectory(prefix="lprc-verify-")
        paths = (Path(self._scratch.name) / f"{number}.onnx" for number in count())
        path = next(path for path in paths if path not in keep)
        save(model, path)
        return path
