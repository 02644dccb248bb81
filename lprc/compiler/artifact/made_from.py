"""Whether a model and samples are those that an artefact was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.build_inputs import calibration_document, source_document
from lprc.core.errors import DataError, InvalidModelError
from lprc.core.running.numerics import Arrays


def check_source(manifest: Mapping[str, Any], source: Path, model: ir.Model, folder: Path) -> None:
    """Refuse another model than the one in the manifest.

    Args:
        manifest: The artefact's.
        source: The model's file.
        model: The model.
        folder: The artefact's.

    Raises:
        InvalidModelError: It is another one.
    """
    given, wanted = source_document(source, model), manifest["source"]
    if any(given.get(key) != wanted.get(key) for key in ("sha256", "weights")):
        raise InvalidModelError(
            f"not the model that {folder} was made from",
            where=str(source),
            hint=f"'{wanted['name']}' has SHA-256 {wanted['sha256']}",
            path=source,
        )


def check_calibration(
    manifest: Mapping[str, Any], calibration: Sequence[Arrays], folder: Path
) -> None:
    """Refuse other samples than those in the manifest.

    Raises:
        DataError: They are others, or there are none, or should be none.
    """
    wanted, given = manifest["calibration"], calibration_document(calibration)
    if wanted == given:
        return
    told = "without calibration data" if wanted is None else f"with {wanted['samples']} samples"
    raise DataError(
        f"{folder} was made {told}"
        + (f" of SHA-256 {wanted['sha256'][:16]}…" if wanted else "")
        + (f", and these have {given['sha256'][:16]}…" if wanted and given else ""),
        where="--calib",
        hint="leave it out" if wanted is None else "name the folder that it was compiled with",
        option="calib",
    )
