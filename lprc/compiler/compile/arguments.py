"""What the Python API takes, as what the compiler takes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, Union, cast

import numpy as np
import onnx
import onnx_ir as ir

from lprc.compiler.compile.calibration import VERIFY_IMAGES, ImageSamples
from lprc.compiler.compile.optimize import Settings, VerifyMode
from lprc.core.errors import DataError, UsageError
from lprc.core.onnx_io import model_io
from lprc.core.options import value_texts
from lprc.core.running.numerics import Arrays

Model: TypeAlias = Union[str, "os.PathLike[str]", onnx.ModelProto, ir.Model]
"""A file, or a model in memory."""

Samples: TypeAlias = Union[str, "os.PathLike[str]", Iterable[Arrays]]
"""A folder of plate images, or sets of inputs: arrays by input name."""

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


def settings_of(
    path: Path,
    calibration: Samples | None,
    inputs: Iterable[Arrays] | None,
    plates: str | None,
    verify: VerifyMode,
    seed: int,
    progress: Progress | None,
) -> Settings:
    """How to run the passes, from what the API is given; arguments as of `lprc.compile`.

    Raises:
        UsageError: An unknown way to verify, or one sample where several are wanted.
        DataError: Samples of another kind, or images that do not fit the model.
    """
    if verify not in ("off", "final", "each"):
        raise UsageError(f"'{verify}' is none of off, final and each", option="verify")
    samples = _samples(path, calibration, plates)
    real = None if inputs is None else [_arrays(each, "inputs") for each in inputs]
    if real is None and isinstance(samples, ImageSamples):
        real = list(samples[:VERIFY_IMAGES])
    return Settings(
        verify=verify,
        inputs=real,
        calibration=samples,
        seed=seed,
        progress=progress,
    )


def _samples(path: Path, calibration: Samples | None, plates: str | None) -> Sequence[Arrays]:
    if calibration is None:
        return ()
    if isinstance(calibration, (str, os.PathLike)):
        return ImageSamples(Path(calibration), plates, model_io.load(path), str(path))
    if isinstance(calibration, Mapping):
        raise UsageError(
            "one set of inputs, where several are wanted",
            option="calibration",
            hint="put it into a list",
        )
    if isinstance(calibration, Sequence):
        # Not copied: it may be longer than memory is large.
        return cast("Sequence[Arrays]", calibration)
    return [_arrays(each, "calibration") for each in calibration]


def _arrays(sample: object, option: str) -> Arrays:
    if not isinstance(sample, Mapping):
        raise DataError(
            f"{option} holds {type(sample).__name__}, and not arrays by input name", option=option
        )
    return {str(name): np.asarray(array) for name, array in sample.items()}


def option_texts_of(options: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Values of any kind as the texts that the command line takes."""
    return {
        key.replace("_", "-"): value_texts(tuple(value) if isinstance(value, list) else value)
        for key, value in options.items()
    }
