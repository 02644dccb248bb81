"""All operators that can be trained through."""

from __future__ import annotations

from lprc.compiler.training.operators import (
    elementwise,
    linear,
    moving,
    quantisation,
    recurrent,
    resizing,
    windows,
)
from lprc.compiler.training.operators.call import Function

OPERATORS: dict[str, Function] = {
    **elementwise.TABLE,
    **linear.TABLE,
    **moving.TABLE,
    **quantisation.TABLE,
    **recurrent.TABLE,
    **resizing.TABLE,
    **windows.TABLE,
}
