"""Models packed with gzip."""

from __future__ import annotations

import gzip

import numpy as np
import onnx
import pytest

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io.gzip_files import pack, unpack
from lprc.core.onnx_io.model_io import from_proto, load, save, to_bytes


def _mostly_zeros():
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[N,64,8,8] x) => (float[N,64,8,8] y) { y = Conv(x, w) }
    """)
    rng = np.random.default_rng(0)
    w = rng.standard_normal((64, 64, 1, 1)).astype(np.float32)
    w[rng.random(w.shape) < 0.75] = 0
    model.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
    return from_proto(model)


def test_zeros_cost_little_and_nothing_is_lost(tmp_path):
    model = _mostly_zeros()
    save(model, tmp_path / "m.onnx")
    save(model, tmp_path / "m.onnx.gz")
    assert (tmp_path / "m.onnx.gz").stat().st_size < 0.45 * (tmp_path / "m.onnx").stat().st_size
    assert to_bytes(load(tmp_path / "m.onnx.gz")) == (tmp_path / "m.onnx").read_bytes()
    save(model, tmp_path / "again.onnx.gz")
    assert (tmp_path / "again.onnx.gz").read_bytes() == (tmp_path / "m.onnx.gz").read_bytes()
    assert gzip.decompress((tmp_path / "m.onnx.gz").read_bytes()) == to_bytes(model)


@pytest.mark.parametrize("data", [b"nothing", pack(b"whole")[:-3], pack(b"one") + b"more"])
def test_what_is_not_one_gzip_file_is_refused(tmp_path, data):
    path = tmp_path / "m.onnx.gz"
    path.write_bytes(data)
    with pytest.raises(InvalidModelError, match=r"m\.onnx\.gz.*gzip"):
        load(path)


def test_a_bomb_does_not_fill_memory():
    with pytest.raises(InvalidModelError, match="more than 1000 bytes"):
        unpack(pack(bytes(1_000_000)), "bomb", 1000)
