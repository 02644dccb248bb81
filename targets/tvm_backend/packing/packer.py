"""A module while it is packed: which value each variable has, and kernels that are emitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray
from tvm import relax, te, tirx
from tvm.ir import GenericConst
from tvm.relax.expr_functor import PyExprMutator, mutator

from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.machine import Machine
from lprc.targets.tvm_backend.packed import (
    Divided,
    Integers,
    Packed,
    Plain,
    Value,
    buffer,
    chosen,
    of_tensors,
    rounded_up,
    segments,
)
from lprc.targets.tvm_backend.packing.expressions import constants_only, dtype_of, shape_of
from lprc.targets.tvm_backend.packing.uses import Uses

Handler = Callable[["Packer", Any], "Value | None"]
"""From a call to its value; None where it stays Relax's own."""

KIND = "lprc.kind"
MANY = 8
"""Runs of channels that are told apart by comparisons; more are looked up in a table."""


class Packer:
    """Packs one function.

    Args:
        module: Of the importer; shapes are known.
        handlers: By the name of the operator.
        machine: The machine that code is generated for.
    """

    def __init__(self, module: Any, handlers: Mapping[str, Handler], machine: Machine) -> None:
        self.module, self.handlers, self.machine = module, handlers, machine
        self.function = module["main"]
        others = {key: each for key, each in module.functions_items() if key.name_hint != "main"}
        self.builder = relax.BlockBuilder(tvm.IRModule(others))
        self.uses = Uses(self.function)
        self.values: dict[Any, Value] = {}
        self.log: list[str] = []
        self._unpacked: dict[Packed, Any] = {}

    def run(self) -> Any:
        """The packed module."""
        parameters = [relax.Var(parameter.name, parameter.ty) for parameter in self.function.params]
        for old, new in zip(self.function.params, parameters, strict=True):
            self.values[old] = Plain(new)
        attributes = dict(self.function.attrs) if self.function.attrs else None
        builder = self.builder
        with builder.function("main", parameters, attrs=attributes):
            with builder.dataflow():
                for binding in self.uses.bindings:
                    self.values[binding.var] = self._value(binding)
                result = builder.emit_output(self._result(self.function.body.body))
            builder.emit_func_output(result)
        return relax.transform.DeadCodeElimination(["main"])(builder.get())

    def _result(self, body: Any) -> Any:
        value = self.values[body] if isinstance(body, relax.Var) else None
        if isinstance(value, list):
            return relax.Tuple([self.plain(each) for each in value])
        if value is None:
            return relax.Tuple([self.plain(self.take(each)) for each in body.fields])
        return self.plain(self.take(body))

    def _value(self, binding: Any) -> Value:
        call = binding.value
        if isinstance(call, relax.Var):
            return self.values[call]
        if isinstance(call, GenericConst):
            return Plain(call)
        if isinstance(call, relax.TupleGetItem):
            whole = self.values[call.tuple_value]
            if isinstance(whole, list):
                return whole[int(call.index)]
        elif isinstance(call, relax.Tuple):
            return [self._taken(field) for field in call.fields]
        elif isinstance(call, relax.Call):
            handler = self.handlers.get(str(getattr(call.op, "name", "")))
            value = handler(self, call) if handler is not None else None
            if value is not None:
                return value
        self._note(call)
        return Plain(self.builder.emit(_substituted(call, self)))

    def _taken(self, expression: Any) -> Packed | Plain:
        value = self.take(expression)
        return value if isinstance(value, Packed | Plain) else Plain(self.plain(value))

    def _note(self, call: Any) -> None:
        if not isinstance(call, relax.Call) or constants_only(call):
            return
        name = str(getattr(call.op, "name", call.op)).replace("relax.", "").replace("nn.", "")
        if name == "call_tir":
            name = str(call.args[0].name_hint)
        shape = shape_of(call)
        self.log.append(f"{name} {'x'.join(map(str, shape))}" if shape else name)

    def take(self, expression: Any) -> Value:
        """The value of an argument; integers of QuantizeLinear in their ONNX layout."""
        value = self.take_integers(expression)
        if not isinstance(value, Packed) or not value.integers:
            return value
        self.values[expression] = plain = Plain(self.plain(value))
        return plain

    def take_integers(self, expression: Any) -> Value:
        """The value of an argument; one that is read in several places is computed once."""
        if isinstance(expression, GenericConst):
            return Plain(expression)
        value = self.values[expression]
        if (
            isinstance(value, Packed)
            and (value.root is not None or not value.cheap)
            and self.uses.several(expression)
        ):
            value = self.values[expression] = self.stored(value)
        return value

    def array(self, expression: Any) -> NDArray[Any] | None:
        """The numbers of a constant; None for anything else."""
        value = Plain(expression) if isinstance(expression, GenericConst) else None
        known = value or self.values.get(expression)
        if isinstance(known, Integers):
            return known.floats()
        if isinstance(known, Plain) and isinstance(known.expression, GenericConst):
            return np.asarray(known.expression.value.numpy())
        return None

    @staticmethod
    def constant(array: NDArray[Any]) -> Any:
        """A constant as a Relax expression."""
        return relax.const(np.asarray(array, order="C"), str(array.dtype))

    def emit(self, kind: str, compute: Callable[..., Any], sources: Sequence[Any]) -> Any:
        """A call of a new kernel."""
        return self.builder.emit_te(
            compute, *sources, primfunc_name_hint=kind, primfunc_attrs={KIND: kind}
        )

    def packed(self, value: Value) -> Packed | None:
        """A float32 activation of rank 4 or 2, to be read as if it were packed."""
        if isinstance(value, Packed):
            return value
        if not isinstance(value, Plain) or isinstance(value.expression, GenericConst):
            return None
        shape = shape_of(value.expression)
        if shape is None or len(shape) not in (2, 4) or dtype_of(value.expression) != "float32":
            return None
        rank = len(shape)
        n, c, h, w = (*shape, 1, 1) if rank == 2 else shape

        def reading(tensors: Sequence[Any]) -> Read:
            if rank == 2:
                return lambda i, _y, _x, k: tensors[0][i, k]
            return lambda i, y, x, k: tensors[0][i, k, y, x]

        read = of_tensors(reading)
        return Packed((n, c, h, w), tuple(range(c)), c, (value.expression,), read, rank=rank)

    def stored(self, value: Packed) -> Packed:
        """The same activation in memory; its pending kernel is emitted."""
        if value.columns is not None:
            return value
        n, _, h, w = value.shape
        root, quantisation = value.root, value.quantisation
        if root is not None:
            count, columns, depth, kind = len(root.sources), root.columns, root.depth, root.kind
            sources = (*root.sources, *value.sources)
        else:
            count, columns, kind, sources = 0, w, "elementwise", value.sources
            depth = rounded_up(value.depth)
        fill = number(0.0) if quantisation is None else tirx.const(0, "uint8")

        def compute(*tensors: Any) -> Any:
            stage = root.stage(tensors[:count]) if root is not None else None
            read = value.read(tensors[count:], stage)

            def at(i: Any, y: Any, x: Any, c: Any) -> Any:
                if depth <= value.depth:
                    return read(i, y, x, c)
                return tirx.if_then_else(c < value.depth, read(i, y, x, c), fill)

            return te.compute((n, h, columns, depth), at, name="out")

        expression = self.emit(kind, compute, sources)
        stored_value = buffer(
            expression, value.shape, value.channels, depth, columns, quantisation, value.rank
        )
        return replace(stored_value, integers=value.integers)

    def readable(self, value: Packed) -> Packed:
        """The same activation, not pending, and cheap to read several times."""
        return value if value.root is None and value.cheap else self.stored(value)

    def plain(self, value: Value) -> Any:
        """A value in its ONNX layout, as a Relax expression."""
        if isinstance(value, Plain):
            return value.expression
        if isinstance(value, Integers):
            return self.constant(value.floats())
        if isinstance(value, Divided):
            n, _, h, w = value.value.shape
            order = tuple(value.value.channels[at] for at in value.places.ravel())
            whole = self.plain(replace(value.value, channels=order))
            return self.builder.emit(relax.op.reshape(whole, (n, *value.places.shape, h, w)))
        assert isinstance(value, Packed)
        if value not in self._unpacked:
            self._unpacked[value] = self._unpack(value)
        return self._unpacked[value]

    def _unpack(self, value: Packed) -> Any:
        if value.root is not None:
            value = self.stored(value)
        n, c, h, w = value.shape
        runs, sources = segments(value.channels), list(value.sources)
        table = len(runs) > MANY
        if table:
            sources.append(self.constant(np.array(value.channels, np.int32)))

        def compute(*tensors: Any) -> Any:
            own = tensors[: len(value.sources)]
            read = _integers(value, own) if value.integers else value.floats(own, None)

            def at(*index: Any) -> Any:
                i, k, y, x = index if value.rank == 4 else (*index, 0, 0)
                if table:
                    return read(i, y, x, tensors[-1][k])
                pieces = [
                    (begin, lambda at, move=physical - begin: read(i, y, x, at + move))
                    for begin, physical, _ in runs
                ]
                return chosen(k, pieces)

            return te.compute((n, c) if value.rank == 2 else (n, c, h, w), at, name="out")

        return self.emit("elementwise" if value.rank == 2 else "unpack", compute, sources)


def _integers(value: Packed, tensors: Sequence[Any]) -> Read:
    """The integers of ONNX."""
    read, known = value.read(tensors, None), value.quantisation
    assert known is not None
    if known.offset == 0:
        return read
    offset = tirx.const(known.offset, "int32")
    return lambda *at: (read(*at).astype("int32") - offset).astype(known.dtype)


def _substituted(call: Any, packer: Packer) -> Any:
    """The call, reading its arguments in their ONNX layout."""

    class _Substitution(PyExprMutator):  # type: ignore[misc]
        def visit_var_(self, variable: Any) -> Any:
            value = packer.values.get(variable)
            if isinstance(value, list):
                return relax.Tuple([packer.plain(part) for part in value])
            return variable if value is None else packer.plain(packer.take(variable))

        visit_dataflow_var_ = visit_var_

    return mutator(_Substitution)().visit_expr(call)
