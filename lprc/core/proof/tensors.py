"""A tensor whose elements are terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir

from lprc.core.proof.terms import Ids


@dataclass(frozen=True)
class Tensor:
    """Terms in a shape.

    Attributes:
        ids: The numbers of the terms.
        dtype: The element type in the graph; None where nothing says it.
    """

    ids: Ids
    dtype: ir.DataType | None

    @property
    def is_integer(self) -> bool:
        """Whether it holds no floats."""
        return self.dtype is not None and not self.dtype.is_floating_point()


Inputs: TypeAlias = list[Tensor | None]
"""A node's inputs, None for those that are left out."""
