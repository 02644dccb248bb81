"""TVM's own pipelines on the raw export, one step after the other, without kernels of lprc's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

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
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    shapes = {key: list(array.shape) for key, array in sample.items()}
    proto = with_plain_constants(onnx.load(model))
    module = from_onnx(proto, shape_dict=shapes, keep_params_in_input=False)
    names = [*STAGES[name], *(FUSE if name in ("layout", "default") else ())]
    module = tvm.transform.Sequential([_pass(name) for name in names])(module)
    target = tvm.target.Target({"kind": "llvm", "mcpu": tvm.target.codegen.llvm_get_system_cpu()})
    machine = relax.VirtualMachine(tvm.compile(module, target=target), tvm.cpu())
    tensors = [tvm.runtime.tensor(np.asarray(array)) for array in sample.values()]
    main = machine["main"]
    return lambda: main(*tensors)


def with_plain_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, changed: the importer knows Constants as tensors alone, not as lists of numbers."""
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name != "value":
            (attribute,) = node.attribute
            dtype = np.float32 if attribute.name.startswith("value_float") else np.int64
            value = np.array(onnx.helper.get_attribute_value(attribute), dtype)
            tensor = onnx.numpy_helper.from_array(value)
            node.attribute[0].CopyFrom(onnx.helper.make_attribute("value", tensor))
    return model


def _pass(name: str) -> Any:
    from tvm import relax

    if name == "ConvertLayout":
        return relax.transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "HWIO"]})
    return getattr(relax.transform, name)()
