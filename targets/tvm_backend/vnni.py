"""AVX-512 VNNI's dot product as a tensor intrinsic.

TVM 0.27 has one, ``dot_16x4_vnni``, that its own LLVM 22 refuses (``vpdpbusd.512`` takes bytes
there, not 32-bit words), and whose accumulators lie in memory of the "global" scope. Here they are
"local", so that LLVM keeps them in registers.
"""

# No `from __future__ import annotations` here: TVM's parser reads the annotations' values.
from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T  # noqa: N812 - as in all of TVM

NAME = "lprc_dot_16x4_vnni"


@T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
def _meaning(
    A: T.Buffer((4,), "uint8", offset_factor=1),  # type: ignore[valid-type]  # noqa: N803
    B: T.Buffer((16, 4), "int8", offset_factor=1),  # type: ignore[valid-type]  # noqa: N803
    C: T.Buffer((16,), "int32", offset_factor=1, scope="local"),  # type: ignore[valid-type]  # noqa: N803
) -> None:
    with T.sblock("root"):
        T.reads(C[0:16], A[0:4], B[0:16, 0:4])
        T.writes(C[0:16])
        for i in T.serial(0, 16):
            for k in T.serial(0, 4):
                with T.sblock("update"):
                    vi, vk = T.axis.remap("SR", [i, k])
                    C[vi] = C[vi] + T.cast(A[vk], "int32") * T.cast(B[vi, vk], "int32")


@T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
def _instruction(
    A: T.Buffer((4,), "uint8", offset_factor=1),  # type: ignore[valid-type]  # noqa: N803
    B: T.Buffer((16, 4), "int8", offset_factor=1),  # type: ignore[valid-type]  # noqa: N803
    C: T.Buffer((16,), "int32", offset_factor=1, scope="local"),  # type: ignore[valid-type]  # noqa: N803
) -> None:
    with T.sblock("root"):
        T.reads(C[0:16], A[0:4], B[0:16, 0:4])
        T.writes(C[0:16])
        four = T.reinterpret(A.vload([0], "uint8x4"), dtype="int32")
        weights = B.vload([0, 0], dtype="int8x64")
        C[T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
            T.llvm_lookup_intrinsic_id("llvm.x86.avx512.vpdpbusd.512"),
            C.vload([0], dtype="int32x16"),
            T.reinterpret(T.broadcast(four, 16), dtype="uint8x64"),
            weights,
            dtype="int32x16",
        )


TensorIntrin.register(NAME, _meaning, _instruction, override=True)
