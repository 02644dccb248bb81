"""The model as it was before channels were removed, for those who repair what is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.onnx_io import model_io

_KEY = "lprc.reference"


@dataclass
class Reference:
    """What the model was.

    Attributes:
        model: A copy of it.
        kept: For outputs of layers that lost channels, by name: which are left.
    """

    model: ir.Model
    kept: dict[str, NDArray[np.int64]] = field(default_factory=dict)


def reference(model: ir.Model) -> Reference | None:
    """What `model` was before the first pass that removed channels in this run; None if none did.

    It is not written into files.
    """
    found = model.meta.get(_KEY)
    return found if isinstance(found, Reference) else None


def remember(model: ir.Model) -> None:
    """Keep a copy of `model`, unless there is one already; call it before changing the model."""
    if reference(model) is None:
        model.meta[_KEY] = Reference(model_io.from_proto(model_io.to_proto(model)))


def restore(model: ir.Model, reference: Reference) -> None:
    """Let `model`, which was read from a file, have the reference that it had before."""
    model.meta[_KEY] = reference
