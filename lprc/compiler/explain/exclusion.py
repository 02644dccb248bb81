"""How to keep the passes of a pipeline away from a node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lprc.core.errors import UsageError
from lprc.core.options import option_infos
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_registry import pass_class, pass_names
from lprc.core.passing.pipeline import Pipeline, pass_text
from lprc.core.quantization.quantizer import EXCLUDE, excluding


@dataclass(frozen=True)
class Exclusion:
    """A pass that can be told to leave nodes alone.

    Attributes:
        pass_name: The pass.
        text: The pass with the option, as pipeline text.
        help: What the option does.
        excluded: Whether the pipeline excludes the nodes already.
    """

    pass_name: str
    text: str
    help: str
    excluded: bool


def exclusions(pipeline: str | None, nodes: tuple[str, ...]) -> tuple[Exclusion, ...]:
    """The passes with an option ``exclude``, which then names `nodes` too.

    Args:
        pipeline: Text; None for any pipeline.
        nodes: Names of source nodes.
    """
    offered = []
    for item in _passes(pipeline):
        excluded: Any = getattr(item, EXCLUDE, None)
        if not nodes or not isinstance(excluded, tuple):
            continue
        text = pass_text(excluding(item, nodes))
        (help_text,) = (info.help for info in option_infos(type(item)) if info.name == EXCLUDE)
        offered.append(Exclusion(item.name, text, help_text, set(nodes) <= set(excluded)))
    return tuple(offered)


def _passes(pipeline: str | None) -> Iterable[Pass]:
    if pipeline is not None:
        yield from Pipeline.parse(pipeline).passes
        return
    for name in pass_names():
        try:
            yield pass_class(name)()
        except (UsageError, TypeError):  # an option without a default, or a broken plug-in
            continue
