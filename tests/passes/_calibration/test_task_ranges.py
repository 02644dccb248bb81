"""Ranges by the error of the outputs are never worse there than those of any one method."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import SCHEMES, activation_params, fake_quantize
from lprc.core.running.observe import observe
from lprc.passes._calibration.estimators import estimate
from lprc.passes._calibration.histogram import ActivationStatistics
from lprc.passes._calibration.simulate import Simulation
from lprc.passes._calibration.task_ranges import CANDIDATES, task_ranges

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[1,6] x) => (float[1,3] y) <float[6,6] a = {A}, float[6,3] b = {B}> {
  h = MatMul(x, a)
  r = Relu(h)
  y = MatMul(r, b)
}"""


@pytest.fixture
def graph() -> ir.Model:
    generator = np.random.default_rng(0)
    text = TEXT
    for name, size in (("A", 36), ("B", 18)):
        numbers = ",".join(f"{number:.5f}" for number in generator.standard_normal(size))
        text = text.replace(f"{{{name}}}", f"{{{numbers}}}")
    return ir.from_onnx_text(text)


@pytest.fixture
def samples():
    generator = np.random.default_rng(1)
    # Rare outliers, so that methods differ.
    return [
        {
            "x": (generator.standard_normal((1, 6)) * (20 if index % 13 == 0 else 1)).astype(
                np.float32
            )
        }
        for index in range(40)
    ]


def values(graph: ir.Model) -> list[ir.Value]:
    return [
        graph.graph.inputs[0],
        next(node for node in graph.graph if node.op_type == "Relu").outputs[0],
    ]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_single_method_is_better(graph, samples, scheme):
    statistics = {value.name: ActivationStatistics() for value in values(graph)}
    for found in observe(graph, values(graph), samples):
        for name, array in found.items():
            statistics[name].update(array)
    steps = []
    chosen = task_ranges(
        graph, values(graph), statistics, samples, scheme, lambda *step: steps.append(step)
    )
    simulation, plain = Simulation(graph, values(graph), scheme), Simulation(graph, [], scheme)

    def error(ranges: dict[str, Range]) -> float:
        # The samples that choices are judged by.
        return sum(
            float(
                np.square(simulation.run(each, ranges)["y"] - expected).sum()
                / np.square(expected).sum()
            )
            for each in samples[:32]
            for expected in [plain.run(each, {})["y"]]
        )

    singles = [
        {
            name: estimate(known, method, scheme, percentile=percentile)
            for name, known in statistics.items()
        }
        for method, percentile in CANDIDATES
    ]
    assert error(chosen) <= min(map(error, singles)) * (1 + 1e-6)
    assert steps[-1][0] <= steps[-1][1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_simulation_quantises_as_the_operators_do(graph, samples, scheme):
    ranges = {"x": Range(-2.0, 3.0), "r": Range(0.0, 4.0)}
    a, b = (graph.graph.initializers[name].const_value.numpy() for name in "ab")
    for sample in samples[:5]:
        found = Simulation(graph, values(graph), scheme).run(sample, ranges)["y"]
        x = fake_quantize(sample["x"], activation_params(ranges["x"], scheme))
        r = fake_quantize(np.maximum(x @ a, 0), activation_params(ranges["r"], scheme))
        assert np.allclose(found, r @ b, rtol=1e-4, atol=1e-4)
