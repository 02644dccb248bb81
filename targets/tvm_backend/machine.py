"""The properties, needed by templates, of the machine that code is generated for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import tvm
from tvm.target import codegen

from lprc.core.process.exchange import Failure

BLOCK = 16
"""Channels of a block of the packed layout, on every machine."""

Dot = Literal["vnni", "none"]


@dataclass(frozen=True)
class Machine:
    """A CPU.

    Attributes:
        lanes: Float32 numbers of a vector register: 16 (AVX-512), 8 (AVX2) or 4 (SSE, NEON).
        registers: Vector registers.
        dot: ``vnni`` where it adds products of four uint8 and int8 to int32 in 16 lanes.
        threads: How many threads run a kernel.
    """

    lanes: int = 4
    registers: int = 16
    dot: Dot = "none"
    threads: int = 1

    @classmethod
    def of_target(cls, target: Any) -> Machine:
        """The machine that TVM's target describes; `num-cores` gives the threads."""

        def has(feature: str) -> bool:
            return bool(codegen.target_has_features(feature, target))

        threads = int(target.attrs.get("num-cores", 0)) or os.cpu_count() or 1
        if has("avx512f"):
            return cls(16, 32, "vnni" if has("avx512vnni") else "none", threads)
        if has("avx2"):
            return cls(8, 16, "none", threads)
        return cls(4, 32 if has("neon") else 16, "none", threads)

    @classmethod
    def current(cls) -> Machine:
        """That of the target in whose scope this runs (``with target:``), or any CPU."""
        target = tvm.target.Target.current(allow_none=True)
        return cls() if target is None else cls.of_target(target)

    @property
    def tile(self) -> int:
        """How many blocks of 16 float32 or int32 fit the registers, two being left for operands."""
        return (self.registers - 2) * self.lanes // BLOCK


def find_target(request: dict[str, Any]) -> Any:
    """TVM's target for `mcpu`, `mattr`, `triple` and `num_cores` of a request.

    Raises:
        Failure: LLVM has no such machine.
    """
    crosses = request["triple"] != "auto"
    mcpu = codegen.llvm_get_system_cpu() if request["mcpu"] == "auto" else request["mcpu"]
    wanted: dict[str, Any] = {"kind": "llvm", "mcpu": mcpu}
    wanted["num-cores"] = request["num_cores"] or os.cpu_count() or 1
    if crosses:
        wanted["mtriple"] = request["triple"]
    if request["mattr"]:
        wanted["mattr"] = list(request["mattr"])
    try:
        is_known_cpu = codegen.llvm_is_valid_cpu(mcpu, request["triple"] if crosses else "")
        target = tvm.target.Target(wanted)
    except Exception as error:  # TVM raises what it likes
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise Failure(f"TVM has no such target: {reason[:300]}", option="triple") from error
    if not is_known_cpu and request["mcpu"] != "auto":
        raise Failure(
            f"LLVM knows no CPU '{mcpu}'", option="mcpu", hint="`llc -mcpu=help` lists them"
        )
    return target
