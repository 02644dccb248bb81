"""LSTM and GRU, as torch's own cells."""

from __future__ import annotations

import torch

from lprc.core.torch_graph.operators.call import Call, Function, Inputs, given, needed

_LSTM_ORDER = (0, 2, 3, 1)
"""ONNX has input, output, forget, cell; torch has input, forget, cell, output."""

_GRU_ORDER = (1, 0, 2)
"""ONNX has update, reset, hidden; torch has reset, update, hidden."""


def _lstm(call: Call, inputs: Inputs) -> tuple[torch.Tensor, ...]:
    x, directions = _checked(call, inputs)
    if given(inputs, 7) is not None or call.attribute("input_forget", 0):
        raise call.refused("it has peepholes or couples its gates")
    weights, hidden = _weights(call, inputs, _LSTM_ORDER)
    start = _start(inputs, 5, x, directions, hidden), _start(inputs, 6, x, directions, hidden)
    biases, both = bool(len(weights) == 4 * directions), directions == 2
    y, h, c = torch.lstm(x, start, weights, biases, 1, 0.0, False, both, False)
    return _outputs(y, directions, hidden), h, c


def _gru(call: Call, inputs: Inputs) -> tuple[torch.Tensor, ...]:
    x, directions = _checked(call, inputs)
    if not call.attribute("linear_before_reset", 0):
        raise call.refused("linear_before_reset is 0, which torch does not have")
    weights, hidden = _weights(call, inputs, _GRU_ORDER)
    start = _start(inputs, 5, x, directions, hidden)
    biases, both = bool(len(weights) == 4 * directions), directions == 2
    y, h = torch.gru(x, start, weights, biases, 1, 0.0, False, both, False)
    return _outputs(y, directions, hidden), h


def _checked(call: Call, inputs: Inputs) -> tuple[torch.Tensor, int]:
    """The input as [steps, batch, features], and the number of directions."""
    direction = call.attribute("direction", "forward")
    plain = direction in ("forward", "bidirectional") and not call.attribute("layout", 0)
    if not plain or call.attribute("activations") or call.attribute("clip"):
        raise call.refused("its direction, layout, activations or clip")
    if given(inputs, 4) is not None:
        raise call.refused("it has sequence lengths")
    return needed(inputs, 0), 2 if direction == "bidirectional" else 1


def _weights(call: Call, inputs: Inputs, order: tuple[int, ...]) -> tuple[list[torch.Tensor], int]:
    hidden = int(call.attribute("hidden_size"))
    w, r, b = needed(inputs, 1), needed(inputs, 2), given(inputs, 3)
    found = []
    for direction in range(w.shape[0]):
        found += [_ordered(w[direction], order), _ordered(r[direction], order)]
        if b is not None:
            found += [_ordered(half, order) for half in b[direction].chunk(2)]
    return found, hidden


def _ordered(gates: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    parts = gates.chunk(len(order))
    return torch.cat([parts[index] for index in order])


def _start(
    inputs: Inputs, index: int, x: torch.Tensor, directions: int, hidden: int
) -> torch.Tensor:
    found = given(inputs, index)
    return x.new_zeros(directions, x.shape[1], hidden) if found is None else found


def _outputs(y: torch.Tensor, directions: int, hidden: int) -> torch.Tensor:
    """[steps, directions, batch, hidden], as ONNX has it."""
    return y.reshape(*y.shape[:2], directions, hidden).permute(0, 2, 1, 3)


TABLE: dict[str, Function] = {"GRU": _gru, "LSTM": _lstm}
