"""The state of a run on disk, from which it goes on as if it had not stopped."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from lprc.compiler.training.recipe import Recipe
from lprc.core.errors import DataError
from lprc.core.files.atomic import atomic_file

_HINT = "--resume takes the checkpoint of an earlier run of the same command"


def save(path: Path, recipe: Recipe, network: bytes, state: dict[str, Any]) -> None:
    """Write `state` of a run that trains `network`; never half a file."""
    with atomic_file(path) as temporary:
        torch.save({"run": _run(recipe, network), "state": state}, temporary)


def load(path: Path, recipe: Recipe, network: bytes, device: torch.device) -> dict[str, Any]:
    """The state of `save`.

    Raises:
        DataError: Not a checkpoint, or one of another network or recipe.
    """
    try:
        document = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise DataError("not a checkpoint that can be read", where=str(path), hint=_HINT) from error
    if not isinstance(document, dict) or set(document) != {"run", "state"}:
        raise DataError("not a checkpoint of lprc finetune", where=str(path), hint=_HINT)
    ours, theirs = _run(recipe, network), document["run"]
    differing = [name for name in ours if theirs.get(name) != ours[name]]
    if differing:
        changes = ", ".join(
            f"{name} was {theirs.get(name)} and is {ours[name]}" for name in differing
        )
        raise DataError(f"belongs to another run: {changes}", where=str(path), hint=_HINT)
    state: dict[str, Any] = document["state"]
    return state


def _run(recipe: Recipe, network: bytes) -> dict[str, Any]:
    return {**asdict(recipe), "network": hashlib.sha256(network).hexdigest()}
