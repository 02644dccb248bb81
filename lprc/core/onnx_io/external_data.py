"""Weights in files beside a model: only inside its folder, only whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from lprc.core.errors import InvalidModelError
from lprc.core.files.regular import read_regular


def check_locations(proto: onnx.ModelProto, folder: Path, where: str) -> None:
    """Refuse external data outside `folder`, links that lead out of it, and files too short.

    Raises:
        InvalidModelError: Naming the tensor.
    """
    root = folder.resolve()
    for tensor in _external_tensors(proto.graph):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        path = folder / location
        place = f"{where}: tensor '{tensor.name}'"
        if not location or not path.resolve().is_relative_to(root):
            raise InvalidModelError(
                f"its data '{location}' is not in the model's folder", where=place
            )
        if not path.is_file():
            raise InvalidModelError(f"its data file '{location}' is missing", where=place)
        _check_extent(entries, path, place)


def _check_extent(entries: dict[str, str], path: Path, place: str) -> None:
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", "0"))
    except ValueError as error:
        raise InvalidModelError("the place of its data is not a number", where=place) from error
    if offset < 0 or length < 0 or offset + length > path.stat().st_size:
        raise InvalidModelError(f"its data file '{path.name}' is too short", where=place)


def _external_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    pending = [graph]
    while pending:
        current = pending.pop()
        tensors = list(current.initializer)
        for node in current.node:
            for attribute in node.attribute:
                pending.extend(attribute.graphs)
                tensors.extend(attribute.tensors)
                if attribute.type == onnx.AttributeProto.GRAPH:
                    pending.append(attribute.g)
                elif attribute.type == onnx.AttributeProto.TENSOR:
                    tensors.append(attribute.t)
        yield from (
            tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL
        )


def external_files(path: Path) -> list[str]:
    """The files, relative to its folder, that hold weights of the model in `path`; sorted.

    Raises:
        OSError: It can't be read.
        InvalidModelError: Not an ONNX file.
    """
    try:
        proto = onnx.ModelProto.FromString(read_regular(path))
    except (DecodeError, RecursionError) as error:
        raise InvalidModelError("not an ONNX file", where=str(path), path=path) from error
    entries = [entry for tensor in _external_tensors(proto.graph) for entry in tensor.external_data]
    return sorted({entry.value for entry in entries if entry.key == "location"})
