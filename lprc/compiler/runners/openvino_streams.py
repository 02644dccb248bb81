"""Run a model file in OpenVINO from several threads at once, for throughput."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.openvino import OpenVinoRunner
from lprc.compiler.runners.vendor_errors import first_line
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import OpenJob

_PAYS_AFTER = 300
"""Runs of one shape behind which the model is compiled for it: by then open dimensions have cost
about what that compile costs."""

_MOST_SHAPES = 8
"""Shapes that a model is compiled for, at most; each takes memory."""

_COUNTED_SHAPES = 256

_Shapes = tuple[tuple[int, ...], ...]


def opened_in_openvino(job: OpenJob) -> OpenVinoRunner:
    """A file as it is, or for several threads where the job has streams."""
    return OpenVinoRunner(job) if job.streams is None else OpenVinoStreams(job)


class OpenVinoStreams(OpenVinoRunner):
    """The same for threads, each of which has a request of its own while it runs.

    Inputs are read where they lie. Open dimensions cost time in every run, so that a shape that
    comes again and again gets a compiled model of its own.

    Args:
        job: The file; it has streams.

    Attributes:
        streams: How many threads may call `run` at once.
    """

    def __init__(self, job: OpenJob) -> None:
        super().__init__(job)
        self.streams = job.streams or 1
        self._open_dimensions = any(None in shape for shape in self.inputs.values())
        self._open_requests = self._requests(self._compiled)
        self._own: dict[_Shapes, queue.SimpleQueue[Any]] = {}
        self._runs: Counter[_Shapes] = Counter()
        self._turn = threading.Lock()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        # OpenVINO reads them where they lie, and takes none that it could not write to.
        arrays = {
            name: np.require(array, requirements=["C", "W"]) for name, array in inputs.items()
        }
        try:
            idle = self._idle_requests(arrays)
            request = idle.get()
            try:
                for name, array in arrays.items():
                    request.set_tensor(name, self._tensor(array, shared_memory=True))
                # In the thread that asks: handing it to one of OpenVINO's costs more.
                request.infer(share_outputs=True)
                return {
                    name: np.array(request.get_output_tensor(index).data)
                    for index, name in enumerate(self.outputs)
                }
            finally:
                idle.put(request)
        except RuntimeError as error:
            raise RunError(f"OpenVINO can't run it: {first_line(error)}") from error

    def _idle_requests(self, arrays: Arrays) -> queue.SimpleQueue[Any]:
        if not self._open_dimensions:
            return self._open_requests
        shapes = tuple(arrays[name].shape for name in self.inputs)
        with self._turn:
            own = self._own.get(shapes)
            if own is not None:
                return own
            if len(self._own) >= _MOST_SHAPES or not self._comes_often(shapes):
                return self._open_requests
            model = self._model.clone()
            ports = zip(model.inputs, shapes, strict=True)
            model.reshape({port: list(shape) for port, shape in ports})
            compiled = self._core.compile_model(model, "CPU", self._config)
            return self._own.setdefault(shapes, self._requests(compiled))

    def _comes_often(self, shapes: _Shapes) -> bool:
        if len(self._runs) >= _COUNTED_SHAPES:
            self._runs.clear()  # none of so many comes often
        self._runs[shapes] += 1
        return self._runs[shapes] >= _PAYS_AFTER

    def _requests(self, compiled: Any) -> queue.SimpleQueue[Any]:
        idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.streams):
            idle.put(compiled.create_infer_request())
        return idle
