"""TVM's own pipelines on the raw export, one step after the other, without kernels of lprc's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLD = ("FoldConstant", "DecomposeOpsForInference", "FoldConstant", "DeadCodeElimination")
FUSE = ("LegalizeOps", "AnnotateTIROpPattern", "FoldConstant", "FuseOps", "FuseTIR")
STAGES: dict[str, tuple[str, ...]] = {
    "import": (),
    "fold": FOLD,
    "layout": (*FOLD, "EliminateCommonSubexpr", "ConvertLayout", "Normalize", "FoldConstant"),
    "default": FOLD,
}
"""What runs behind the import; ``layout`` and ``default`` also fuse."""


def stage(name: str, model: Path, sample: Mapping[str, np.ndarray]) -> Callable[[], object]:
    """The network compiled as far as the stage goes; runs it once.

    Args:
        name: Of `STAGES`.
        model: The ONNX file; sizes that it leaves open become the sample's.
        sample: Inputs by name.
    """
    os.environ["TVM_NUM_THREADS"] = "1"
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    shapes = {key: list(array.shape) for key, array in sample.items()}
    module = from_onnx(onnx.load(model), shape_dict=shapes, keep_params_in_input=False)
    names = [*STAGES[name], *(FUSE if name in ("layout", "default") else ())]
    module = tvm.transform.Sequential([_pass(name) for name in names])(module)
    target = tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())
    tensors = [tvm.runtime.tensor(np.asarray(array)) for array in sample.values()]
    main = machine["main"]
    return lambda: main(*tensors)


def _pass(name: str) -> Any:
    from tvm import relax

    if name == "ConvertLayout":
        return relax.transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})
    return getattr(relax.transform, name)()
