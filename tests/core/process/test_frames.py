"""Messages between processes arrive as they were sent."""

from __future__ import annotations

import io
import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from lprc.core.process.frames import FrameError, read_frame, write_frame


def sent(document):
    stream = io.BytesIO()
    write_frame(stream, document)
    stream.seek(0)
    received = read_frame(stream)
    assert not stream.read()
    return received


def test_json_bytes_and_nested_arrays():
    document = ["f", [None, True, 1.5, "ü", b"\x00\xff", {"a": [1, b""], 7: {}}]]
    assert sent(document) == document
    assert sent((np.int64(3), np.float32(0.5))) == [3, 0.5]


@given(
    hnp.arrays(
        hnp.scalar_dtypes().filter(lambda dtype: dtype.kind in "fiubc" and dtype.isnative),
        hnp.array_shapes(min_dims=0, min_side=0, max_dims=4),
    )
)
def test_arrays(array):
    if array.dtype.byteorder == ">":
        return
    (received,) = sent([array])
    assert (received.dtype, received.shape) == (array.dtype, array.shape)
    assert received.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "array",
    [
        np.array([["a", "ü"], ["", "b"]], object),
        np.array(["a", "bc"]),
        np.ones((3, 4), np.float32).T,
        np.arange(10)[::3],
        np.array([1.5, -2], ml_dtypes.bfloat16),
        np.array([1, -2], ml_dtypes.int4),
        np.zeros((0, 3), np.float32),
    ],
)
def test_arrays_of_other_kinds(array):
    (received,) = sent([array])
    assert received.shape == array.shape
    assert received.tolist() == array.tolist()
    if array.dtype.kind not in "OU":
        assert received.dtype == array.dtype


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4"])
def test_types_of_which_numpy_makes_no_buffer(name):
    array = np.array([[0, 1], [2, 3]]).astype(getattr(ml_dtypes, name))
    received = sent(array)
    assert (received.dtype, received.tolist()) == (array.dtype, array.tolist())


@pytest.mark.parametrize(
    "data",
    [b"", b"\x01", struct.pack("<Q", 1 << 40), struct.pack("<Q", 2) + b"{", struct.pack("<Q", 1) + b"{"],
)  # fmt: skip
def test_what_is_no_message(data):
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(data))
