"""The file that a training run goes on from."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lprc.core.errors import DataError, UsageError

_HINT = "--resume takes the last.pt of an earlier run"


def chosen_device(name: str) -> str:
    """``cpu`` or ``cuda``; ``auto`` is the latter where there is one.

    Raises:
        UsageError: ``cuda`` was asked for and there is none.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("PyTorch sees no CUDA device", where="--device", hint="use --device cpu")
    return name


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what `load_state` reads; never half a file."""
    import torch

    unfinished = path.with_suffix(".tmp")
    torch.save(dict(state), unfinished)
    unfinished.replace(path)


def load_state(path: Path, device: str) -> dict[str, Any]:
    """The state of a run.

    Args:
        path: A file of `save_state`; only tensors and plain values are unpickled.
        device: Where its tensors come to lie.

    Raises:
        DataError: It can't be read, or holds no state of a run.
    """
    import torch

    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise DataError(
            "is not a checkpoint that can be read", where=str(path), hint=_HINT
        ) from error
    if not isinstance(state, dict) or not {"options", "model", "optimizer"} <= state.keys():
        raise DataError(
            "holds weights but not the state of a training run", where=str(path), hint=_HINT
        )
    return state


def check_same_run(theirs: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on under other options than a run was started with.

    Args:
        theirs: What the file at `path` says.
        ours: What was asked for now.
        path: For the message.

    Raises:
        DataError: They differ.
    """
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    if differing:
        changes = ", ".join(
            f"{name} was {theirs.get(name)} and is {ours[name]}" for name in differing
        )
        raise DataError(
            f"belongs to another run: {changes}",
            where=str(path),
            hint="resume with the options that it was started with",
        )
