"""The evidence of a broken promise, from which it can be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lprc.core.files.atomic import atomic_folder
from lprc.core.onnx_io.model_io import load, save
from lprc.core.running.numerics import Arrays

_REPLAY = """\
The passes in pipeline.txt turned before.onnx into after.onnx and changed its outputs on inputs.npz.
Replay it here with

    lprc opt before.onnx --passes "$(cat pipeline.txt)" --verify each --inputs inputs.npz -o o.onnx
"""


def write_reproducer(
    folder: Path, before: bytes | Path, after: bytes | Path, texts: Sequence[str], inputs: Arrays
) -> None:
    """Write both graphs, the passes between them and the inputs into `folder`.

    Raises:
        OutputError: It can't be written, or is a folder of another kind.
    """
    with atomic_folder(folder, may_replace=_is_reproducer) as temporary:
        _write_model(before, temporary / "before.onnx")
        _write_model(after, temporary / "after.onnx")
        (temporary / "pipeline.txt").write_text(f"{','.join(texts)}\n", encoding="utf-8")
        # Arrays of objects (strings) would be pickled.
        plain: dict[str, Any] = {
            name: array.astype(str) if array.dtype == object else array
            for name, array in inputs.items()
        }
        np.savez(temporary / "inputs.npz", **plain)
        (temporary / "replay.txt").write_text(_REPLAY, encoding="utf-8")


def _is_reproducer(folder: Path) -> bool:
    return (folder / "replay.txt").is_file()


def _write_model(data: bytes | Path, path: Path) -> None:
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        save(load(data), path)
