"""Run a model file in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.runners.vendor_errors import first_line, load_error
from lprc.core.onnx_io.gzip_files import is_packed
from lprc.core.onnx_io.model_io import load, to_bytes
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.ort_limits import FLOAT_ACTIVATIONS, disabled_optimizers, rounded
from lprc.core.running.runner import OpenJob


class OrtRunner:
    """An .onnx file, on the CPU; an `lprc.core.running.runner.Runner`.

    Args:
        job: The file.
        profile: Where to write what each node takes, a path without its ending; None for nowhere.
    """

    def __init__(self, job: OpenJob, *, profile: Path | None = None) -> None:
        import onnxruntime as ort

        path, threads = job.path, job.threads

        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry(*FLOAT_ACTIVATIONS)
        # Threads that spin after a run would slow down whatever is measured next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if threads is not None:
            options.intra_op_num_threads = threads
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        try:
            source = to_bytes(load(path)) if is_packed(path) else path
            model = rounded(source)
            self._session = ort.InferenceSession(
                model if isinstance(model, bytes) else str(model),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=disabled_optimizers(source),
            )
        except Exception as error:  # ORT's exceptions share no base of their own
            raise load_error("ONNX Runtime", path, error) from error
        self.inputs = {
            value.name: tuple(dim if isinstance(dim, int) else None for dim in value.shape)
            for value in self._session.get_inputs()
        }
        self.dtypes = {value.name: _dtype(value.type) for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]
        self.streams = job.streams or 1  # a session runs in any number of threads

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name."""
        try:
            found = self._session.run(self.outputs, dict(inputs))
        except Exception as error:
            raise RunError(f"ONNX Runtime can't run it: {first_line(error)}") from error
        return dict(zip(self.outputs, found, strict=True))

    def end_profile(self) -> Path:
        """The file of events, in the format of Chrome's traces."""
        return Path(self._session.end_profiling())

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`."""
        binding = self._session.io_binding()
        for name, array in inputs.items():
            # Not ascontiguousarray, which makes scalars one-dimensional.
            binding.bind_cpu_input(name, np.asarray(array, order="C"))
        for name in self.outputs:
            binding.bind_output(name)
        try:
            # Checks more than `run` does: once bound, outputs must have the sizes of the file.
            for _ in range(2):
                self._session.run_with_iobinding(binding)
        except Exception as error:
            raise RunError(f"ONNX Runtime can't run it: {first_line(error)}") from error
        return lambda: self._session.run_with_iobinding(binding)


def _dtype(text: str) -> np.dtype[Any]:
    """The element type of ``tensor(float16)`` and the like; object where numpy has none."""
    name = text.removeprefix("tensor(").removesuffix(")")
    known = {"float": "float32", "double": "float64"}.get(name, name)
    return np.dtype(known) if known in np.sctypeDict else np.dtype(object)
