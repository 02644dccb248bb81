"""The operator tests that the onnx package ships, each run before and after the exact passes.

Beside each case as it is there is a ``frozen`` one, in which all inputs but the first are
initialisers: that is how operators look in a trained network, and where rewrites begin.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

KINDS = ("node", "simple", "pytorch-converted", "pytorch-operator", "light")


@dataclass(frozen=True)
class Case:
    """One shipped test: a model, its inputs by name and, where shipped, its outputs."""

    kind: str
    name: str
    model: onnx.ModelProto
    inputs: dict[str, Any]
    expected: list[Any] | None = None
    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass(frozen=True)
class Outcome:
    """``same``, ``different``, ``refused`` (with our reason) or ``not run`` (ORT's reason)."""

    verdict: str
    reason: str = ""
    rewrites: int = 0


def cases(kind: str) -> Iterator[Case]:
    """All cases of `kind`, in order of their names."""
    found = {"node": _node_cases, "light": _light_cases}.get(kind, lambda: _folder_cases(kind))
    yield from sorted(found(), key=lambda case: case.name)


def frozen(case: Case) -> Case | None:
    """`case` with all inputs but the first as initialisers; None where there are none."""
    constants = {name: array for name, array in list(case.inputs.items())[1:] if _is_tensor(array)}
    if not constants:
        return None
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    # Before version 4 an initialiser had to be an input.
    model.ir_version = max(model.ir_version, 4)
    kept = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for name, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    inputs = {name: array for name, array in case.inputs.items() if name not in constants}
    return replace(case, name=f"{case.name}-frozen", model=model, inputs=inputs)


def outcome(case: Case, pipeline_text: str) -> Outcome:
    """Run `case` before and after the pipeline and say what came of it.

    Where ONNX Runtime can't run the original, the shipped outputs stand for it.
    """
    from lprc.core.errors import LprcError
    from lprc.core.onnx_io.model_io import from_proto, to_proto
    from lprc.core.passing.manager import PassManager
    from lprc.core.passing.pipeline import Pipeline

    try:
        before = _run(case.model, case.inputs)
    except Exception as error:
        if case.expected is None:
            return Outcome("not run", _first_line(error))
        before, unrunnable = case.expected, _first_line(error)
    else:
        unrunnable = ""
    try:
        model = from_proto(case.model)
        records = PassManager(Pipeline.parse(pipeline_text)).run(model)
    except LprcError as error:
        return Outcome("refused", str(error))
    rewrites = sum(len(record.rewrites) for record in records)
    try:
        after = _run(to_proto(model), case.inputs)
    except Exception as error:
        if unrunnable:
            return Outcome("not run", unrunnable)
        return Outcome("different", _first_line(error), rewrites)
    problem = _difference(before, after, case)
    return Outcome("different" if problem else "same", problem, rewrites)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _run(model: onnx.ModelProto, inputs: dict[str, Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {value.name for value in session.get_inputs()}
    feeds = {name: value for name, value in inputs.items() if name in wanted}
    return list(session.run(None, feeds))


def _difference(before: Any, after: Any, case: Case) -> str:
    if isinstance(before, (list, tuple)):
        if not isinstance(after, (list, tuple)) or len(before) != len(after):
            return "another number of outputs"
        return next(
            (
                found
                for a, b in zip(before, after, strict=True)
                if (found := _difference(a, b, case))
            ),
            "",
        )
    if before is None or after is None:
        return "" if before is after else "an output appeared or vanished"
    before, after = np.asarray(before), np.asarray(after)
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        return f"{after.dtype}{after.shape} instead of {before.dtype}{before.shape}"
    if before.dtype.kind == "f":
        same = np.allclose(before, after, rtol=case.rtol, atol=case.atol, equal_nan=True)
    else:
        same = np.array_equal(before, after)
    return "" if same else "other values"


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiubO"


def _node_cases() -> Iterator[Case]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shipped = load_model_tests(kind="node")
    for test in shipped:
        names = [value.name for value in test.model.graph.input]
        inputs, outputs = test.data_sets[0]
        fed = dict(zip(names, inputs, strict=False))
        yield Case("node", test.name, test.model, fed, list(outputs), test.rtol)


def _folder_cases(kind: str) -> Iterator[Case]:
    for folder in (_data() / kind).iterdir():
        path = folder / "model.onnx"
        if not path.is_file():
            continue
        model = onnx.load(path)
        initialised = {tensor.name for tensor in model.graph.initializer}
        values = [value for value in model.graph.input if value.name not in initialised]
        data = folder / "test_data_set_0"
        inputs = {
            value.name: _read(data / f"input_{index}.pb", value)
            for index, value in enumerate(values)
        }
        expected = [
            _read(data / f"output_{index}.pb", value)
            for index, value in enumerate(model.graph.output)
        ]
        yield Case(kind, folder.name, model, inputs, expected)


def _light_cases() -> Iterator[Case]:
    generator = np.random.default_rng(0)
    for path in (_data() / "light").glob("*.onnx"):
        model = onnx.load(path)
        initialised = {tensor.name for tensor in model.graph.initializer}
        inputs = {
            value.name: generator.standard_normal(
                [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim], dtype=np.float32
            )
            for value in model.graph.input
            if value.name not in initialised
        }
        yield Case("light", path.stem, model, inputs)


def _read(path: Path, value: onnx.ValueInfoProto) -> Any:
    data = path.read_bytes()
    kind = value.type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def _data() -> Path:
    return Path(onnx.__file__).parent / "backend" / "test" / "data"
