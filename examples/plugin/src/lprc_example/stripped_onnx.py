"""The lowered ONNX file without what only people read."""

from __future__ import annotations

from dataclasses import dataclass

from lprc.plugin import EmitJob, Emitted, Target, TargetOptions, option

STRIPPED_ONNX = Target.from_resource("lprc_example", "stripped_onnx.toml")
STRIPPED_ONNX_REFERENCE = Target.from_resource("lprc_example", "stripped_onnx_reference.toml")


@dataclass(frozen=True)
class Options(TargetOptions):
    """What ``-O`` sets."""

    keep_names: bool = option(False, "keep the names of nodes")


def emit(job: EmitJob) -> Emitted:
    """Write ``model.onnx``."""
    import onnx  # takes a moment, and `lprc targets` does not need it

    assert isinstance(job.options, Options)
    model = onnx.load(job.lowered)
    del model.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        if not job.options.keep_names:
            node.name = ""
    path = job.folder / "model.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    saved = job.lowered.stat().st_size - path.stat().st_size
    return Emitted([path], report={"stripped_bytes": saved})
