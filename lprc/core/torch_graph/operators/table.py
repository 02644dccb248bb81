"""All operators that have a form in torch, with a gradient where there is one."""

from __future__ import annotations

from lprc.core.torch_graph.operators import (
    elementwise,
    linear,
    moving,
    quantisation,
    recurrent,
    resizing,
    windows,
)
from lprc.core.torch_graph.operators.call import Function

OPERATORS: dict[str, Function] = {
    **elementwise.TABLE,
    **linear.TABLE,
    **moving.TABLE,
    **quantisation.TABLE,
    **recurrent.TABLE,
    **resizing.TABLE,
    **windows.TABLE,
}
