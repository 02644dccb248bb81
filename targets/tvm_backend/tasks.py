"""Which kernels of a module there are to tune: those of equal structure are one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import tvm
from tvm import relax
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import Workload

from lprc.targets.tvm_backend.schedules import KIND, SCHEDULED


@dataclass(eq=False)
class Task:
    """A kernel to find a schedule for.

    Attributes:
        kind: Its ``lprc.kind``.
        function: The PrimFunc; its symbol is ``main``, so that equal ones are equal.
        names: Of the module's functions that are this one.
        occurrences: How often the network calls them.
    """

    kind: str
    function: Any
    names: list[str] = field(default_factory=list)
    occurrences: int = 0

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.names[0]

    @cached_property
    def module(self) -> Any:
        """The function alone."""
        return tvm.IRModule({"main": self.function})

    @cached_property
    def workload(self) -> Any:
        """MetaSchedule's form of it."""
        return Workload(self.module)

    @cached_property
    def workload_document(self) -> tuple[str, str]:
        """Structural hash (decimal) and TVM's serialised module (base64)."""
        key, module = self.workload.as_json()
        return str(key), str(module)

    @property
    def key(self) -> str:
        """The structural hash: weights, names and the rest of the network are not in it."""
        return self.workload_document[0]

    @cached_property
    def args_info(self) -> Any:
        """MetaSchedule's description of the parameters."""
        return ArgInfo.from_prim_func(self.function)

    @cached_property
    def arguments(self) -> list[tuple[list[int], str]]:
        """Shape and element type of each parameter."""
        return [([int(i) for i in each.shape], str(each.dtype)) for each in self.args_info]


def find_tasks(module: Any) -> list[Task]:
    """The kernels of a packed module without a schedule, in the module's order."""
    calls = Counter(_called(module))
    tasks: dict[tuple[str, str], Task] = {}
    for variable, function in module.functions_items():
        if not isinstance(function, tvm.tirx.PrimFunc) or not _is_open(function):
            continue
        task = Task(str(function.attrs[KIND]), function.with_attr("global_symbol", "main"))
        task = tasks.setdefault((task.kind, task.key), task)
        task.names.append(variable.name_hint)
        task.occurrences += calls[variable.name_hint]
    return list(tasks.values())


def _is_open(function: Any) -> bool:
    attributes = function.attrs or {}
    return KIND in attributes and not attributes.get(SCHEDULED, False)


def _called(module: Any) -> Iterator[str]:
    """The name of the kernel of each ``call_tir``."""
    kernel_names: list[str] = []
    operator = tvm.ir.Op.get("relax.call_tir")

    def visit(node: Any) -> None:
        if isinstance(node, relax.Call) and node.op == operator:
            kernel_names.append(str(node.args[0].name_hint))

    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, visit)
    yield from kernel_names
