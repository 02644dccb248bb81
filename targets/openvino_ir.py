"""OpenVINO IR."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from lprc.core.errors import LprcError
from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target

OPENVINO_FP32 = Target.from_resource("lprc.targets", "openvino-fp32.toml")
OPENVINO_FP16 = Target.from_resource("lprc.targets", "openvino-fp16.toml")
OPENVINO_INT8 = Target.from_resource("lprc.targets", "openvino-int8.toml")
OPENVINO_INT8_FP16 = Target.from_resource("lprc.targets", "openvino-int8-fp16.toml")

TIME_LIMIT = 600
"""Seconds that a conversion may take."""


class EmitError(LprcError):
    """A conversion that failed, crashed or took too long."""

    exit_code = 4


def emit_fp32(job: EmitJob) -> Emitted:
    """Write ``model.xml`` and ``model.bin`` with float32 weights."""
    return Emitted(_emit(job.lowered, job.folder, compress=False))


def emit_fp16(job: EmitJob) -> Emitted:
    """Write ``model.xml`` and ``model.bin`` with float32 weights stored as float16.

    That is the IR's own storage format (``compress_to_fp16``): the graph computes in the
    precision of the lowered ONNX, and the weights are rounded to float16 once.
    """
    return Emitted(_emit(job.lowered, job.folder, compress=True))


def _emit(lowered: Path, folder: Path, *, compress: bool) -> list[Path]:
    """Convert in a process of its own: a crash in vendor code must not be ours.

    Raises:
        EmitError: The conversion failed.
    """
    request = {"lowered": str(lowered), "folder": str(folder), "compress": compress}
    command = [sys.executable, "-m", "lprc.targets.openvino_convert"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            input=json.dumps(request),
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # vendor code may write what it likes
            timeout=TIME_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EmitError(f"OpenVINO took more than {TIME_LIMIT} s", where=lowered.name) from error
    if done.returncode != 0:
        raise EmitError(f"OpenVINO can't convert it: {_reason(done)}", where=lowered.name)
    files = [folder / "model.xml", folder / "model.bin"]
    if not all(file.is_file() for file in files):
        raise EmitError("OpenVINO wrote no IR", where=lowered.name)
    _shorten(files[0])
    return files


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"it crashed with signal {-done.returncode}"
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"Error|error|Unsupported|not supported", line)]
    return (telling or lines or ["no message"])[-1][:300]


def _shorten(xml: Path) -> None:
    """Drop what no reader of the IR needs: half of the text, beside small int8 weights.

    Where and with what it was converted goes too: the bytes must not depend on it. A reader infers
    the shapes and types of inputs from the outputs that they are connected to, and the names of
    inner tensors are ONNX's, which the layers' names repeat. Bodies of control flow stay as they
    are.
    """
    tree = ElementTree.parse(xml)  # noqa: S314 - OpenVINO has just written it
    root = tree.getroot()
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "rt_info" and parent.tag == "net":
                parent.remove(child)
        if parent.text is not None and not parent.text.strip():
            parent.text = None
        parent.tail = None
    public = _public_ports(root)
    for layer in root.iterfind("layers/layer"):
        for port in layer.iterfind("input/port"):
            _strip(port)
        for port in layer.iterfind("output/port"):
            if (layer.attrib["id"], port.attrib["id"]) not in public:
                port.attrib.pop("names", None)
    tree.write(xml, encoding="utf-8", xml_declaration=True)


def _strip(port: ElementTree.Element) -> None:
    number = port.attrib["id"]
    port.clear()
    port.attrib["id"] = number


def _public_ports(root: ElementTree.Element) -> set[tuple[str, str]]:
    """The layer and port of each input and output of the network: their names are its interface."""
    kinds = {layer.attrib["id"]: layer.attrib["type"] for layer in root.iterfind("layers/layer")}
    ports = {(layer, "0") for layer, kind in kinds.items() if kind == "Parameter"}
    for edge in root.iterfind("edges/edge"):
        if kinds.get(edge.attrib["to-layer"]) == "Result":
            ports.add((edge.attrib["from-layer"], edge.attrib["from-port"]))
    return ports
