"""What an artefact's engine is made of, and which nodes of the lowered graph each layer is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from lprc.core.errors import InvalidModelError

_TENSORRT = "layers.json"
_OPENVINO = "model.xml"
_SPLIT_BIAS = "/WithoutBiases"
"""What OpenVINO adds to an operator's name where its bias became a layer of its own."""


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine.

    Attributes:
        name: The runtime's name for it.
        kind: The runtime's word for what it does.
        reads: The types of what it reads, without constants; empty where that is not kept.
        writes: The types of what it writes.
        nodes: The nodes of the lowered graph that it stands for.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    nodes: tuple[str, ...]


def engine_layers(folder: Path) -> list[EngineLayer]:
    """The layers that TensorRT's ``layers.json`` or OpenVINO's ``model.xml`` list; none of others.

    Raises:
        InvalidModelError: The file can't be read.
    """
    for name, read in ((_TENSORRT, _tensorrt), (_OPENVINO, _openvino)):
        path = folder / name
        if path.is_file():
            try:
                return read(path)
            except (OSError, KeyError, ElementTree.ParseError) as error:
                raise InvalidModelError(f"can't be read: {error}", where=str(path)) from error
    return []


def _tensorrt(path: Path) -> list[EngineLayer]:
    from lprc.compiler.artifact.engine_layers_schema import Layers
    from lprc.core.files.checked import checked_json

    return [
        EngineLayer(
            layer.name,
            layer.type,
            tuple(dict.fromkeys(tensor.type for tensor in layer.inputs)),
            tuple(dict.fromkeys(tensor.type for tensor in layer.outputs)),
            tuple(layer.nodes),
        )
        for layer in checked_json(Layers, path, error=InvalidModelError).layers
    ]


def _openvino(path: Path) -> list[EngineLayer]:
    root = ElementTree.parse(path).getroot()  # noqa: S314 - expat bounds what entities expand to
    return [
        EngineLayer(
            layer.attrib["name"],
            layer.attrib["type"],
            (),
            tuple(
                dict.fromkeys(port.attrib["precision"] for port in layer.iterfind("output/port"))
            ),
            (layer.attrib["name"].removesuffix(_SPLIT_BIAS),),
        )
        for layer in root.iterfind("layers/layer")
        if layer.attrib["type"] not in ("Const", "Parameter", "Result")
    ]
