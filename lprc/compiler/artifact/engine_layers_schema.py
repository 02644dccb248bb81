"""What is read of TensorRT's ``layers.json``."""

from __future__ import annotations

from lprc.core.files.checked import Open


class Tensor(Open):
    """What a layer reads or writes."""

    type: str


class Layer(Open):
    """One layer of the engine."""

    name: str
    type: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    nodes: list[str]


class Layers(Open):
    """The whole file."""

    layers: list[Layer]
