"""Look at a graph's activations while calibration data run through it, one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.onnx_io.model_io import to_proto
from lprc.core.running.numerics import Arrays, Session

T = TypeVar("T")


class Observer:
    """Runs a graph in ONNX Runtime with chosen values as its outputs.

    Memory holds two samples' values at a time, however many samples there are.

    Args:
        proto: The graph; its outputs are replaced.
        names: Values of its main graph: inputs, or outputs of nodes.

    Raises:
        RunError: ONNX Runtime refuses the graph.
    """

    def __init__(self, proto: onnx.ModelProto, names: Sequence[str]) -> None:
        self._names = names
        expose(proto, self._names)
        # ORT's fusions are on: they keep the values that are asked for, and are faster.
        # Without outputs (only graph inputs are asked for) there is nothing to run.
        data = proto.SerializeToString() if proto.graph.output else None
        self._session = None if data is None else Session(data, optimize=True, threads=_THREADS)

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The chosen values for one set of inputs, by name.

        Raises:
            RunError: ONNX Runtime fails on it, for instance for inputs of the wrong shape.
        """
        outputs = {} if self._session is None else self._session.run(inputs)
        return {name: inputs[name] if name in inputs else outputs[name] for name in self._names}


_THREADS = 2


def expose(proto: onnx.ModelProto, names: Sequence[str]) -> None:
    """Make `names` the outputs of the main graph, those that are its inputs left out."""
    inputs = {value.name for value in proto.graph.input}
    del proto.graph.output[:]
    for name in dict.fromkeys(names):
        if name not in inputs:
            proto.graph.output.add(name=name)


def observe(
    model: ir.Model, values: Sequence[ir.Value], samples: Iterable[Arrays], *, check: bool = True
) -> Iterator[dict[str, NDArray[Any]]]:
    """The chosen values for each sample in turn; see `Observer`.

    Args:
        model: The graph; it is not changed.
        values: The values to look at.
        samples: The inputs.
        check: Whether to look for what is not finite; the caller does where it reads all anyway.

    Raises:
        DataError: A value is NaN or infinite, or there is no sample.
    """
    names = [value.name or "" for value in values]
    return observe_names(to_proto(model), names, samples, checked=names if check else ())


def observe_names(
    proto: onnx.ModelProto,
    names: Sequence[str],
    samples: Iterable[Arrays],
    *,
    checked: Container[str],
) -> Iterator[dict[str, NDArray[Any]]]:
    """The values called `names` for each sample in turn, those `checked` finite; see `observe`.

    The outputs of `proto` are replaced.
    """
    observer = Observer(proto, names)
    count = 0
    for count, activations in enumerate(_ahead(observer.run, samples), 1):
        for name, array in activations.items():
            if name in checked and array.dtype.kind == "f" and not _is_finite(array):
                raise not_finite(name, count)
        yield activations
    if count == 0:
        raise no_samples()


def not_finite(name: str, number: int) -> DataError:
    """The error where the activation `name` is NaN or infinite at the sample of that number."""
    return DataError(
        "NaN or infinite values",
        where=f"activation '{name}' at calibration sample {number}",
        hint="remove that sample, or mend the model: a range can't be found for it",
    )


def _ahead(run: Callable[[Arrays], T], samples: Iterable[Arrays]) -> Iterator[T]:
    """What `run` makes of each sample: of the next one while the caller looks at this one."""
    with ThreadPoolExecutor(1) as pool:
        pending: Future[T] | None = None
        for sample in samples:
            following = pool.submit(run, sample)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


def _is_finite(array: NDArray[Any]) -> bool:
    """Whether all values are finite: their sum tells, but where it overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())


def spread(samples: Sequence[T], count: int) -> Iterator[T]:
    """`count` of the samples, evenly spread over them; all for 0 or where there are fewer."""
    step = max(1, len(samples) // count) if count else 1
    for index in range(0, min(len(samples), step * count) if count else len(samples), step):
        yield samples[index]


def no_samples(name: str | None = None) -> DataError:
    """The error where a pass, called `name`, needs calibration data and there are none."""
    return DataError(
        "calibration data are needed, and there are none",
        where=None if name is None else f"pass '{name}'",
        hint="--calib DIR names a folder of images, or of .npz files with arrays named as the "
        "inputs; a few hundred are enough",
    )
