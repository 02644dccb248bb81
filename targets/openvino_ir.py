"""OpenVINO IR."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from lprc.core.graph.provenance import describe
from lprc.core.process.worker import WorkerError, run_worker
from lprc.core.targets.emitter import INSTEAD, EmitJob, Emitted
from lprc.core.targets.target import Target

OPENVINO_FP32 = Target.from_resource("lprc.targets", "openvino-fp32.toml")
OPENVINO_FP16 = Target.from_resource("lprc.targets", "openvino-fp16.toml")
OPENVINO_INT8 = Target.from_resource("lprc.targets", "openvino-int8.toml")
OPENVINO_INT8_FP16 = Target.from_resource("lprc.targets", "openvino-int8-fp16.toml")

_MODULE = "lprc.targets.openvino_convert"

TIME_LIMIT = 600
"""Seconds that a conversion may take."""


def emit_ir(job: EmitJob) -> Emitted:
    """Write ``model.xml`` and ``model.bin``; weights have the types of the lowered graph."""
    return Emitted(_emit(job, compress=False))


def emit_ir_with_float16_weights(job: EmitJob) -> Emitted:
    """The same, with float32 weights stored as float16.

    That is the IR's own storage format (``compress_to_fp16``): the graph computes in the
    precision of the lowered ONNX, and the weights are rounded to float16 once.
    """
    return Emitted(_emit(job, compress=True))


def _emit(job: EmitJob, *, compress: bool) -> list[Path]:
    """Convert in a process of its own: a crash in vendor code must not be ours.

    Raises:
        WorkerError: The conversion failed, crashed or took too long.
    """
    files = [job.folder / "model.xml", job.folder / "model.bin"]
    with tempfile.TemporaryDirectory(prefix="lprc-") as scratch:
        failure = Path(scratch) / "failure.txt"
        command = [_MODULE, str(job.lowered), str(files[0]), "--failure", str(failure)]
        done = run_worker(
            "OpenVINO",
            [*command, "--compress"] if compress else command,
            where=job.source,
            time_limit=TIME_LIMIT,
            complaint=failure,
            more_time="--emit onnx leaves the conversion to you",
        )
        if not done:
            raise _refusal(job, json.loads(failure.read_text(encoding="utf-8")))
    if not all(file.is_file() for file in files):
        raise WorkerError("OpenVINO wrote no IR", where=job.source)
    _shorten(files[0])
    return files


def _refusal(job: EmitJob, complaint: dict[str, str]) -> WorkerError:
    """OpenVINO's reason, with the node where it is known."""
    node = next((node for node in job.model.graph if node.name == complaint["node"]), None)
    what = "it" if node is None else describe(node)
    return WorkerError(
        f"OpenVINO can't convert {what}: {complaint['reason']}",
        where=job.source,
        hint=INSTEAD,
    )


_CONTROL = "x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2[0-9]|3[01])"
_NOT_XML = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:{_CONTROL});", re.IGNORECASE)


def _shorten(xml: Path) -> None:
    """Drop what no reader of the IR needs: half of the text, beside small int8 weights.

    Where and with what it was converted goes too: the bytes must not depend on it. A reader infers
    the shapes and types of inputs from the outputs that they are connected to, and the names of
    inner tensors are ONNX's, which the layers' names repeat. Bodies of control flow stay as they
    are.
    """
    # OpenVINO writes control characters of the model's names, which XML can't have.
    text = _NOT_XML.sub("?", xml.read_text(encoding="utf-8", errors="replace"))
    root = ElementTree.fromstring(text)  # noqa: S314 - OpenVINO has just written it
    tree = ElementTree.ElementTree(root)
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
