"""The models that are mutated: random graphs, operator tests, handmade ones, files of a folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx

try:
    import onnx_backend_cases  # of pytest's path
except ImportError:
    from tests import onnx_backend_cases

from .handmade import handmade
from .maker import DoesNotFit
from .random_graphs import make_case

LARGEST_FILE = 70_000
"""Bytes of a model; of larger ones a run takes seconds."""

_KINDS = tuple(kind for kind in onnx_backend_cases.KINDS if kind != "light")
"""Light ones are small files of networks that make hundreds of megabytes of weights."""

SHARES = {"random": 0.4, "operator": 0.3, "handmade": 0.27, "folder": 0.03}


class Bases:
    """Where base models are drawn from.

    Args:
        operators: A zip file of the operator tests that the onnx package ships; made if absent.
        folder: Models of real networks; those that are small take part.
    """

    def __init__(self, operators: Path, folder: Path | None = None) -> None:
        if not operators.is_file():
            _write_operators(operators)
        self._operators = zipfile.ZipFile(operators)
        self._operator_names = sorted(self._operators.namelist())
        self._handmade = list(handmade().items())
        files = sorted(folder.glob("*.onnx")) if folder else []
        self._files = [path for path in files if path.stat().st_size <= LARGEST_FILE]

    def draw(self, rng: np.random.Generator) -> tuple[str, onnx.ModelProto]:
        """A base model, which is the caller's, and its name."""
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if kind == "operator":
            name = self._operator_names[rng.integers(len(self._operator_names))]
            return name, onnx.ModelProto.FromString(self._operators.read(name))
        if kind == "folder" and self._files:
            path = self._files[rng.integers(len(self._files))]
            return path.stem, onnx.load(path)
        if kind == "random":
            seed = int(rng.integers(2**31))
            try:
                return f"random {seed}", make_case(seed).model
            except DoesNotFit:
                pass
        name, model = self._handmade[rng.integers(len(self._handmade))]
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return name, copy


def _write_operators(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in _KINDS:
            for case in onnx_backend_cases.cases(kind):
                for variant in filter(None, (case, onnx_backend_cases.frozen(case))):
                    data = variant.model.SerializeToString()
                    if len(data) <= LARGEST_FILE // 2:
                        archive.writestr(f"{kind} {variant.name}", data)
    scratch.replace(path)
