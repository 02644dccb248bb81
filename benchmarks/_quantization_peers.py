"""What other tools make of a float ONNX file and calibration samples: NNCF and ONNX Runtime."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nncf
import openvino as ov
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Sample = Mapping[str, NDArray[Any]]

SCHEMES = {
    "U8S8": (QuantType.QUInt8, QuantType.QInt8),
    "S8S8": (QuantType.QInt8, QuantType.QInt8),
    "U8U8": (QuantType.QUInt8, QuantType.QUInt8),
}
"""Types of activations and of weights in ONNX Runtime's quantize_static."""

ERRORS = (RuntimeError, ValueError, TypeError, KeyError, nncf.InternalError)
"""What the tools raise on a model that they can't quantise."""


def nncf_int8(
    source: Path, samples: list[Sample], out: Path, *, preset: str, fast_bias_correction: bool
) -> Path:
    """``nncf.quantize`` over OpenVINO, with every sample; the .xml."""
    with _quiet():
        quantized = nncf.quantize(
            ov.convert_model(source),
            nncf.Dataset(samples),
            preset=nncf.QuantizationPreset(preset),
            subset_size=len(samples),
            fast_bias_correction=fast_bias_correction,
        )
    return _saved(quantized, out)


def nncf_weights(source: Path, out: Path, *, mode: str) -> Path:
    """``nncf.compress_weights``: no calibration; the .xml."""
    with _quiet():
        quantized = nncf.compress_weights(
            ov.convert_model(source), mode=nncf.CompressWeightsMode(mode)
        )
    return _saved(quantized, out)


def ort_int8(
    source: Path, samples: list[Sample], out: Path, *, scheme: str, prepared: bool = True
) -> Path:
    """``quantize_static``: Q/DQ, per channel, min-max, behind ``quant_pre_process``; the .onnx."""
    activations, weights = SCHEMES[scheme]
    with _quiet():
        if prepared:
            ready = out.with_name(f"{out.stem}-prepared.onnx")
            quant_pre_process(source, ready, skip_symbolic_shape=True)
            source = ready
        quantize_static(
            source,
            out,
            _Reader(samples),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=activations,
            weight_type=weights,
        )
    return out


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Samples, one after the other."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples: Iterator[Sample] = iter(samples)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The next sample; None behind the last."""
        sample = next(self._samples, None)
        return None if sample is None else dict(sample)


def _saved(model: ov.Model, out: Path) -> Path:
    ov.save_model(model, out, compress_to_fp16=False)
    return out


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Progress bars and advice stay away from the table."""
    nncf.set_log_level(logging.ERROR)
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
