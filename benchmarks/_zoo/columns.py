"""What is asked of each network: a command line of lprc's, or another tool beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx

from _zoo.inputs import read_inputs

Command = Callable[["Place"], tuple[Sequence[str], Path]]
"""What stands behind ``python`` for a network, and the artefact that it writes."""

Kind = Literal["exact", "approximate", "int8", "lossy", "count"]
"""How an artefact is judged, or that only its nodes are counted; see `verdict.py`."""

PEER = Path(__file__).with_name("peer.py")


@dataclass(frozen=True)
class Place:
    """Files of one cell: the network, its samples, and where the artefact goes."""

    source: Path
    calibration: Path
    out: Path


@dataclass(frozen=True)
class Column:
    """One question.

    Attributes:
        name: Its heading.
        command: The command line, and the artefact that it writes.
        kind: How the artefact is judged.
        ours: Whether lprc is asked, rather than another tool.
    """

    name: str
    command: Command
    kind: Kind
    ours: bool = True


def _compiled(target: str, *options: str, data: bool = True) -> Command:
    def command(place: Place) -> tuple[Sequence[str], Path]:
        given = ["--calib", str(place.calibration)] if data else []
        line = ["-m", "lprc", "compile", str(place.source), "--target", target]
        return [*line, "-o", str(place.out), "--no-cache", "-q", *given, *options], place.out

    return command


def _for_tensorrt(place: Place) -> tuple[Sequence[str], Path]:
    """With a profile of the samples' sizes for what has symbolic ones, as a refusal suggests."""
    line, out = _compiled("trt-int8")(place)
    profiles = [
        f"{name}:{'/'.join(['x'.join(map(str, shape))] * 3)}"
        for name, shape in _symbolic_inputs(place.source)
    ]
    return [*line, *(["-O", f"profile={','.join(profiles)}"] if profiles else [])], out


def _for_tvm(target: str) -> Command:
    """With the samples' sizes for what has symbolic ones: TVM's code is for one size."""

    def command(place: Place) -> tuple[Sequence[str], Path]:
        line, out = _compiled(target)(place)
        for name, shape in _symbolic_inputs(place.source):
            line = [*line, "--input-shape", f"{name}:{','.join(map(str, shape))}"]
        return line, out

    return command


def _symbolic_inputs(source: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Inputs with symbolic sizes besides a batch, and the shape of their samples."""
    shapes = {name: value.shape for name, value in read_inputs(source).items()}
    graph = onnx.load(source, load_external_data=False).graph
    return [
        (value.name, shapes[value.name])
        for value in graph.input
        if value.name in shapes
        and not all(dim.dim_value > 0 for dim in value.type.tensor_type.shape.dim[1:])
    ]


def _peer(kind: str, suffix: str) -> Command:
    def command(place: Place) -> tuple[Sequence[str], Path]:
        artefact = place.out.with_name(f"peer{suffix}")
        return [str(PEER), kind, *map(str, (place.source, place.calibration, artefact))], artefact

    return command


COLUMNS = {
    column.name: column
    for column in (
        Column("onnx", _compiled("onnx", "--verify", "each", data=False), "exact"),
        Column("ort-fp32", _compiled("ort-fp32"), "exact"),
        Column("ov-fp32", _compiled("ov-fp32"), "exact"),
        Column("fp16", _compiled("onnx", "--then", "convert-fp16"), "approximate"),
        Column("weight-only", _compiled("onnx", "--then", "quantize-weights"), "int8"),
        Column("prune", _compiled("onnx", "--then", "prune-channels{target-macs=0.8}"), "lossy"),
        Column("2:4", _compiled("onnx", "--then", "sparsify{pattern=2:4}"), "lossy"),
        Column("ort-int8", _compiled("ort-int8"), "int8"),
        Column("ov-int8", _compiled("ov-int8"), "int8"),
        Column("trt-int8", _for_tensorrt, "int8"),
        Column("tvm-fp32", _for_tvm("tvm-fp32"), "exact"),
        Column("tvm-int8", _for_tvm("tvm-int8"), "int8"),
        Column("quantize_static", _peer("quantize_static", ".onnx"), "int8", ours=False),
        Column("NNCF", _peer("nncf", ".xml"), "int8", ours=False),
        Column("onnxsim", _peer("onnxsim", ".onnx"), "count", ours=False),
        Column("onnxslim", _peer("onnxslim", ".onnx"), "count", ours=False),
    )
}
"""In the order in which they are asked: the quick ones first."""
