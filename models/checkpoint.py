"""Trained LPRNet weights from a checkpoint file."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.core.errors import DataError, MissingDependencyError

if TYPE_CHECKING:
    import torch

    from lprc.models.lprnet import LPRNet, PoolForm

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_CLASSES_KEY = "container.0.weight"

_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""The exceptions that torch.load has been seen to raise on damaged files, in its two formats."""


def load_checkpoint(
    path: Path, *, num_classes: int | None = None, pool: PoolForm = "3d", batch_mean: bool = True
) -> LPRNet:
    """Build LPRNet with the weights of `path`, ready for inference.

    Args:
        path: A file that ``torch.save`` wrote: a state dict, bare or inside a dict under one of
            the usual keys; ``module.`` prefixes are dropped. Only tensors are unpickled.
        num_classes: The number of classes that is expected; None takes what the file has.
        pool: See `LPRNet`.
        batch_mean: See `LPRNet`.

    Raises:
        MissingDependencyError: torch is not installed.
        DataError: No such file, not a checkpoint, keys missing, unknown or there twice, wrong
            shapes or dtypes, values that are not finite, or another number of classes.
    """
    state = _state_dict(_read(path), path)
    classes_in_checkpoint = _classes(state, path)
    if num_classes is not None and classes_in_checkpoint != num_classes:
        raise DataError(
            f"the checkpoint has {classes_in_checkpoint} classes, not {num_classes}",
            where=str(path),
            hint="the alphabet (with the blank) must be the one it was trained with",
        )
    import torch

    from lprc.models.lprnet import LPRNet

    with torch.device("meta"):  # a damaged file may ask for any number of classes
        expected = LPRNet(classes_in_checkpoint).state_dict()
    _check_keys(state, expected, path)
    _check_values(state, expected, path)
    model = LPRNet(classes_in_checkpoint, pool=pool, batch_mean=batch_mean)
    model.load_state_dict(dict(state))
    return model.eval()


def _read(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "reading a checkpoint needs torch", where=str(path), hint='pip install "lprc[torch]"'
        ) from error
    if not path.is_file():
        raise DataError("no such file", where=str(path))
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # torch's message is many lines of advice about switching weights_only off.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"not a torch checkpoint of tensors: {reason[:120]}",
            where=str(path),
            hint="it must be a whole file that torch.save wrote of a state dict",
        ) from error


def _state_dict(loaded: Any, path: Path) -> Mapping[str, torch.Tensor]:
    import torch

    for _ in _WRAPPERS:  # one inside another in any order, but a pickle can also hold a cycle
        if isinstance(loaded, Mapping):
            inner = (loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping))
            loaded = next(inner, loaded)
    if not isinstance(loaded, Mapping) or not loaded:
        raise DataError(
            f"holds a {type(loaded).__name__}, not a state dict of tensors", where=str(path)
        )
    state = {str(key).removeprefix("module."): value for key, value in loaded.items()}
    if len(state) < len(loaded):
        raise DataError("holds tensors both with and without 'module.'", where=str(path))
    wrong = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise DataError(f"'{wrong[0]}' is not a tensor", where=str(path))
    return state


def _classes(state: Mapping[str, torch.Tensor], path: Path) -> int:
    weight = state.get(_CLASSES_KEY)
    if weight is None or weight.ndim != 4:
        raise DataError(
            f"not LPRNet: no 4-D tensor '{_CLASSES_KEY}'",
            where=str(path),
            hint="the layout is that of Final_LPRNet_model.pth (backbone.N…, container.0…)",
        )
    classes = int(weight.shape[0])
    if classes < 2:
        raise DataError(f"{classes} classes are less than a character and a blank", where=str(path))
    return classes


def _check_keys(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], path: Path
) -> None:
    missing = [key for key in expected if key not in state]
    if missing:
        raise DataError(
            f"{len(missing)} tensors are missing, first '{missing[0]}'", where=str(path)
        )
    unknown = [key for key in state if key not in expected]
    if unknown:
        raise DataError(f"{len(unknown)} unknown tensors, first '{unknown[0]}'", where=str(path))
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise DataError(
                f"'{key}' is {list(tensor.shape)}, not {list(expected[key].shape)}", where=str(path)
            )


def _check_values(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], path: Path
) -> None:
    import torch

    for key, tensor in state.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise DataError(f"'{key}' is not a dense tensor with values", where=str(path))
        if tensor.is_floating_point() != expected[key].is_floating_point():
            raise DataError(
                f"'{key}' is {tensor.dtype}, not {expected[key].dtype}", where=str(path)
            )
        if not tensor.to(expected[key].dtype).isfinite().all():
            raise DataError(
                f"'{key}' has values that are not finite",
                where=str(path),
                hint="the training diverged, or the file is damaged",
            )
