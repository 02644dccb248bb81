"""What goes into a build, as hashes: the model, the calibration set, what was asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import onnx_ir as ir

from lprc.core.files.digest import document_sha256, file_document, sha256
from lprc.core.running.numerics import Arrays
from lprc.core.targets.emitter import Emit
from lprc.core.tasks.image_input import ImageInput
from lprc.core.tasks.task import Sample


@runtime_checkable
class Hashed(Protocol):
    """Samples that know their own hash, for instance of the files that they are read from."""

    def digest(self) -> str:
        """A SHA-256 in hex."""


@dataclass(frozen=True)
class BuildInputs:
    """What a build was given; made before the passes change the model.

    Attributes:
        source: The model's name, SHA-256 and size, and those of its files of external weights.
        calibration: The number and SHA-256 of the samples; None where there were none.
        build: How the artefact is made, besides target, options and pipeline.
    """

    source: dict[str, Any]
    calibration: dict[str, Any] | None
    build: dict[str, Any]

    @classmethod
    def of(
        cls,
        path: Path,
        model: ir.Model,
        *,
        calibration: Sequence[Arrays],
        verify: str,
        seed: int,
        emit: Emit,
    ) -> BuildInputs:
        """Hash them all.

        Args:
            path: The model's file.
            model: As it was read from there.
            calibration: The samples.
            verify: When graphs are compared.
            seed: Of random inputs.
            emit: How far the build goes.
        """
        build = {"emit": emit, "verify": verify, "seed": seed}
        return cls(source_document(path, model), calibration_document(calibration), build)


def source_document(path: Path, model: ir.Model) -> dict[str, Any]:
    """A model's name, SHA-256 and size, and those of the files that its weights are in."""
    tensors = (
        value.const_value for graph in model.graphs() for value in graph.initializers.values()
    )
    places = {str(tensor.location) for tensor in tensors if isinstance(tensor, ir.ExternalTensor)}
    document = {"name": path.name, **file_document(path)}
    if places:
        document["weights"] = {
            place: file_document(path.parent / place) for place in sorted(places)
        }
    return document


def calibration_document(samples: Sequence[Arrays]) -> dict[str, Any] | None:
    """The number of samples and their SHA-256; None for no samples."""
    if not len(samples):
        return None
    return {"samples": len(samples), "sha256": samples_sha256(samples)}


def samples_sha256(samples: Sequence[Arrays]) -> str:
    """The SHA-256 of samples: of their names, types, shapes and values, in their order."""
    if isinstance(samples, Hashed):
        return samples.digest()
    digest = hashlib.sha256()
    for sample in samples:
        for name in sorted(sample):
            array = np.asarray(sample[name], order="C")
            values = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
            head = json.dumps([name, array.dtype.str, list(array.shape), len(values)])
            digest.update(f"{head}\n".encode())
            digest.update(values)
        digest.update(b"\n")
    return digest.hexdigest()


def images_sha256(images: Iterable[Path], how: ImageInput) -> str:
    """The SHA-256 of image files by name and content, and of how they are preprocessed.

    The order that a file system lists them in, their folder and their times do not matter.
    """
    files = sorted((path.name, sha256(path)) for path in images)
    return document_sha256({"images": files, "preprocessing": how.model_dump(mode="json")})


def labelled_sha256(samples: Iterable[Sample]) -> str:
    """The SHA-256 of labelled samples: their labels and the contents of their files."""
    hashes: dict[Path, str] = {}

    return document_sha256(
        sorted((item.path.name, _label(item, hashes), _hash(item.path, hashes)) for item in samples)
    )


def _label(item: Sample, hashes: dict[Path, str]) -> Any:
    """What a sample's label is in a hash: its text, or the contents of its files."""
    if isinstance(item.truth, (str, int)):
        return item.truth
    return [_hash(path, hashes) for path in item.labels]


def _hash(path: Path, hashes: dict[Path, str]) -> str:
    if path not in hashes:
        hashes[path] = sha256(path)
    return hashes[path]
