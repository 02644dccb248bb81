"""What TVM's compiler raised, said so that a user can do something about it."""

from __future__ import annotations

import re

import onnx

from lprc.core.process.exchange import Failure
from lprc.core.targets.emitter import INSTEAD


def refusal(error: Exception, model: onnx.ModelProto) -> Failure:
    """What TVM's compiler raised, with the ONNX node that it is about, where it can be told.

    Args:
        error: Its text holds Relax's call, as ``R.topk(…)``, among many lines.
        model: The graph that is compiled.
    """
    text = str(error)
    calls = [call.replace("_", "").lower() for call in re.findall(r"\bR\.(?:\w+\.)*(\w+)\(", text)]
    culprit = next((node for node in model.graph.node if node.op_type.lower() in calls), None)
    what = "it" if culprit is None else f"node '{culprit.name}' ({culprit.op_type})"
    return Failure(f"TVM can't compile {what}: {_telling_line(error)}", hint=INSTEAD)


def _telling_line(error: Exception) -> str:
    """The first line of an error that is no source code, stack or frame of one."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if re.search(r"[a-z]{3,} [a-z]{2,}", line) and line[0] != "#"]
    return (telling or [line for line in lines if line] or [type(error).__name__])[0][:300]
