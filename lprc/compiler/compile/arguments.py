"""Models, folders and options as the Python API takes them, as what the compiler takes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, Union

import onnx
import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.onnx_io import model_io
from lprc.core.options import value_texts

Model: TypeAlias = Union[str, "os.PathLike[str]", onnx.ModelProto, ir.Model]
"""A file, or a model in memory."""

Progress = Callable[[float, int], None]
"""Called with the steps done and their number, from the thread that called the function."""


@contextmanager
def model_file(model: Model) -> Iterator[Path]:
    """A model's file; a temporary one for a model in memory."""
    if isinstance(model, (str, os.PathLike)):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory(prefix="lprc-") as folder:
        path = Path(folder) / "model.onnx"
        model_io.save(model_object(model), path)
        yield path


def model_object(model: object) -> ir.Model:
    """A model in memory as onnx-ir has it.

    Raises:
        UsageError: It is none.
    """
    if isinstance(model, ir.Model):
        return model
    if isinstance(model, onnx.ModelProto):
        return model_io.from_proto(model)
    raise UsageError(
        f"a model is a path, an onnx.ModelProto or an onnx_ir.Model, not {type(model).__name__}",
        option="model",
    )


@contextmanager
def destination(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    """The folder to write; a temporary one is removed where the block fails."""
    if out is not None:
        yield Path(out)
        return
    scratch = Path(tempfile.mkdtemp(prefix="lprc-"))
    try:
        yield scratch / "artefact"
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def option_texts_of(options: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Values of any kind as the texts that the command line takes."""
    return {
        key.replace("_", "-"): value_texts(tuple(value) if isinstance(value, list) else value)
        for key, value in options.items()
    }
