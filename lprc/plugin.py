"""What plug-ins are written with: the one module whose names third parties may rely on.

A pass derives from `Pass`, a target is a `Target` read from a TOML file beside its emitter, a
runtime is a `Runtime` whose opener gives a `Runner`; docs/adding-a-pass.md, adding-a-target.md and
adding-a-runtime.md show one of each. A name is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lprc._lazy import lazy_names

if TYPE_CHECKING:
    from lprc.core import errors
    from lprc.core.files.checked import StrictTable
    from lprc.core.graph import editing
    from lprc.core.options import option
    from lprc.core.passing.adapters import graphsurgeon_pass, onnx_pass
    from lprc.core.passing.contract import Contract, approximate, exact, lossy
    from lprc.core.passing.pass_base import Pass, PassContext
    from lprc.core.passing.pass_order import State, reasons
    from lprc.core.passing.translation import Translation
    from lprc.core.running.layer_times import LayerTime
    from lprc.core.running.numerics import RunError
    from lprc.core.running.runner import OpenJob, Runner
    from lprc.core.targets.emitter import EmitJob, Emitted, TargetOptions
    from lprc.core.targets.runtimes import Runtime
    from lprc.core.targets.search_space import SearchSpace
    from lprc.core.targets.target import Target
    from lprc.core.tasks.image_input import ImageInput
    from lprc.core.tasks.interface import Interface
    from lprc.core.tasks.placement import Placement
    from lprc.core.tasks.task import Sample, Task

__all__ = [
    "Contract",
    "EmitJob",
    "Emitted",
    "ImageInput",
    "Interface",
    "LayerTime",
    "OpenJob",
    "Pass",
    "PassContext",
    "Placement",
    "RunError",
    "Runner",
    "Runtime",
    "Sample",
    "SearchSpace",
    "State",
    "StrictTable",
    "Target",
    "TargetOptions",
    "Task",
    "Translation",
    "approximate",
    "editing",
    "errors",
    "exact",
    "graphsurgeon_pass",
    "lossy",
    "onnx_pass",
    "option",
    "reasons",
]

__getattr__ = lazy_names(
    __name__,
    {
        "lprc.core.errors": ("errors=",),
        "lprc.core.files.checked": ("StrictTable",),
        "lprc.core.graph.editing": ("editing=",),
        "lprc.core.options": ("option",),
        "lprc.core.passing.adapters": ("graphsurgeon_pass", "onnx_pass"),
        "lprc.core.passing.contract": ("Contract", "approximate", "exact", "lossy"),
        "lprc.core.passing.pass_base": ("Pass", "PassContext"),
        "lprc.core.passing.pass_order": ("State", "reasons"),
        "lprc.core.passing.translation": ("Translation",),
        "lprc.core.running.layer_times": ("LayerTime",),
        "lprc.core.running.numerics": ("RunError",),
        "lprc.core.running.runner": ("OpenJob", "Runner"),
        "lprc.core.targets.emitter": ("EmitJob", "Emitted", "TargetOptions"),
        "lprc.core.targets.runtimes": ("Runtime",),
        "lprc.core.targets.search_space": ("SearchSpace",),
        "lprc.core.targets.target": ("Target",),
        "lprc.core.tasks.image_input": ("ImageInput",),
        "lprc.core.tasks.interface": ("Interface",),
        "lprc.core.tasks.placement": ("Placement",),
        "lprc.core.tasks.task": ("Sample", "Task"),
    },
)
