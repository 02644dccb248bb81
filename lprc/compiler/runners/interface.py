"""What a compiled file's inputs and outputs are, where its format does not say it."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from lprc.core.files.checked import Strict


def _numpy_type(name: str) -> str:
    try:
        np.dtype(name)
    except TypeError as error:
        raise ValueError(f"numpy has no type '{name[:80]}'") from error
    return name


class Tensor(Strict):
    """An input or output."""

    name: str
    shape: list[int | None]
    dtype: Annotated[str, AfterValidator(_numpy_type)]


class Interface(Strict):
    """Inputs and outputs, in the order of the call."""

    inputs: list[Tensor]
    outputs: list[Tensor]


class TvmInterface(Interface):
    """What stands in ``interface.json`` beside a module of TVM's."""

    threads: Annotated[int, Field(ge=1)]
