"""Small graphs packed, scheduled, compiled in memory, and compared with ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import tvm
from onnx import helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.target import codegen

from lprc.targets.tvm_backend import build, packing, schedules
from lprc.targets.tvm_backend.machine import Machine


def target(mcpu=None, threads=1):
    """This machine, or another CPU of its kind."""
    wanted = mcpu or codegen.llvm_get_system_cpu()
    return tvm.target.Target({"kind": "llvm", "mcpu": wanted, "num-cores": threads})


def native(feature):
    """Whether this machine has a feature, as LLVM calls it."""
    return bool(codegen.target_has_features(feature, target()))


@dataclass
class Packed:
    """A compiled graph.

    Attributes:
        module: Scheduled.
        plain: What stays Relax's own.
        executable: Compiled.
    """

    module: object
    plain: list[str]
    executable: object

    @property
    def kinds(self):
        """The kinds of its kernels, sorted, each once."""
        found = (schedules.kind_of(each) for _, each in self.module.functions_items())
        return sorted({kind.name for kind in found if kind is not None})

    def run(self, inputs):
        """Outputs for inputs, both in their order."""
        machine = relax.VirtualMachine(self.executable, tvm.cpu())
        found = machine["main"](*(tvm.runtime.tensor(each) for each in inputs.values()))
        listed = [found] if isinstance(found, tvm.runtime.Tensor) else list(found)
        return [each.numpy() for each in listed]


def packed(model, at=None, machine=None):
    """Packed, scheduled and compiled as `build` does it.

    Args:
        model: ONNX; shapes are known.
        at: TVM's target; None for this machine with one thread.
        machine: What the templates are told; None for what the target says.
    """
    at = at or target()
    machine = machine or Machine.of_target(at)
    module, plain = packing.pack(from_onnx(model, keep_params_in_input=False), machine)
    module = schedules.schedule_module(module, machine.threads, {}, machine)
    passes = tvm.transform.Sequential([getattr(relax.transform, name)() for name in build.PASSES])
    return Packed(module, plain, tvm.compile(module, target=at, relax_pipeline=passes))


def graph(text, seed=0):
    """A model from ONNX text; values that are declared in <…> and that no node makes are random."""
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["" : 20]>\n' + text)
    generator = np.random.default_rng(seed)
    made = {name for node in model.graph.node for name in node.output}
    made |= {each.name for each in model.graph.initializer}
    for value in list(model.graph.value_info):
        if value.name in made:
            continue
        tensor = value.type.tensor_type
        shape = [dim.dim_value for dim in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype == np.float32:
            fan = max(1, int(np.prod(shape[1:])))
            array = (generator.standard_normal(shape) * fan**-0.5).astype(dtype)
        else:
            array = generator.integers(-127, 128, shape).astype(dtype)
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        model.graph.value_info.remove(value)
    onnx.checker.check_model(model)
    return model


def random_inputs(model, seed=1):
    """Float32 in −2 to 2, by name."""
    generator = np.random.default_rng(seed)
    weights = {each.name for each in model.graph.initializer}
    return {
        each.name: generator.uniform(
            -2, 2, [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for each in model.graph.input
        if each.name not in weights
    }


def by_onnx_runtime(model, inputs):
    """Outputs without its optimiser, which would change int8 arithmetic."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def compared(model, *, within=1e-4, **options):
    """The packed graph, whose outputs are those of ONNX Runtime but for `within`."""
    model = graph(model) if isinstance(model, str) else model
    made, inputs = packed(model, **options), random_inputs(model)
    for found, wanted in zip(made.run(inputs), by_onnx_runtime(model, inputs), strict=True):
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        scale = max(1.0, float(np.abs(wanted).max())) if wanted.size else 1.0
        np.testing.assert_allclose(found, wanted, rtol=0, atol=within * scale)
    return made
