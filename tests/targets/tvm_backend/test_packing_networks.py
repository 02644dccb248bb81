"""Whole networks, lowered by the pipelines of the targets or drawn at random, packed."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

pytest.importorskip("tvm")
pytest.importorskip("torch")
import small_networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_cnn import networks
from tvm_packing import by_onnx_runtime, compared, packed, random_inputs

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.onnx_io.model_io import load
from lprc.core.running import random_inputs as samples

NETWORKS = [
    each
    for each in (*small_networks.NETWORKS, small_networks.Detector)
    if each is not small_networks.Recurrent
]
"""TVM's importer knows no LSTM."""


def lowered(source, target, folder):
    """As `lprc compile` lowers it for one image."""
    images = [samples.random_inputs(load(source), seed=seed, batch=1) for seed in range(8)]
    compile_model(
        compile_request(
            source,
            target,
            folder,
            then="set-batch{batch=1}",
            emit="onnx",
            verify="off",
            calibration=images,
        )
    )
    return onnx.load(folder / "lowered.onnx")


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: network.__name__)
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param.__name__) / "source.onnx"
    onnx.save(small_networks.exported(request.param, "trace"), path)
    return path


def test_of_the_zoo(exported, tmp_path):
    made = compared(lowered(exported, "tvm-fp32", tmp_path / "out"))
    assert not [each for each in made.plain if "conv" in each or "matmul" in each]


def test_of_the_zoo_in_integers(exported, tmp_path):
    """Numbers that round to another step move what comes after them; hence decibels."""
    model = lowered(exported, "tvm-int8", tmp_path / "out")
    made, inputs = packed(model), random_inputs(model)
    assert not [each for each in made.plain if "conv" in each or "matmul" in each]
    assert not {"conv", "depthwise"} & set(made.kinds), "all of them in integers"
    assert decibels(made.run(inputs), by_onnx_runtime(model, inputs)) > 40


def decibels(found, wanted):
    """The signal to noise ratio of the worst output."""
    ratios = []
    for mine, theirs in zip(found, wanted, strict=True):
        noise = float(np.square(mine.astype(np.float64) - theirs).sum())
        ratios.append(10 * np.log10(float(np.square(theirs).sum()) / max(noise, 1e-30)))
    return min(ratios)


@pytest.mark.parametrize(("target", "kind"), [("tvm-fp32", "conv"), ("tvm-int8", "integer_conv")])
def test_of_lprnet_no_convolution_stays_plain(target, kind, bundled, tmp_path):
    model = lowered(bundled, target, tmp_path / "out")
    made, inputs = packed(model), random_inputs(model)
    assert all(each.startswith("squeeze") for each in made.plain)
    assert kind in made.kinds
    found, wanted = made.run(inputs), by_onnx_runtime(model, inputs)
    assert decibels(found, wanted) > (100 if target == "tvm-fp32" else 25)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(networks(), st.integers(1, 2))
def test_random_networks(model, images):
    for each in model.graph.input:
        each.type.tensor_type.shape.dim[0].dim_value = images
    compared(model, within=1e-4)
