"""A small network with arrays to judge it by, and workers that know latencies beforehand."""

from __future__ import annotations

import hashlib

import numpy as np
import onnx
import pytest
from onnxruntime import InferenceSession

from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.plan import (
    Sensitivities,
    chosen_knobs,
    chosen_targets,
    request_document,
)
from lprc.compiler.searching.search import Search
from lprc.compiler.searching.study import Study
from lprc.compiler.searching.workers import LocalWorkers

HEAD = """<ir_version: 9, opset_import: ["" : 18]>
g (float[1,4,8,8] x) => (float[1,6] y) {
    a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a)
    c = Conv<pads=[1,1,1,1]>(b, w1) d = Relu(c)
    p = GlobalAveragePool(d) f = Flatten(p) y = MatMul(f, w2)
}"""


@pytest.fixture
def question(tmp_path):
    """Two Convs and a classifier, judged by its own answers."""
    generator = np.random.default_rng(0)
    model = onnx.parser.parse_model(HEAD)
    for name, shape in (("w0", (16, 4, 3, 3)), ("w1", (16, 16, 3, 3)), ("w2", (16, 6))):
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path, data = tmp_path / "small.onnx", tmp_path / "data"
    onnx.save(model, path)
    data.mkdir()
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    for index in range(24):
        x = generator.standard_normal((1, 4, 8, 8)).astype(np.float32)
        np.savez(data / f"{index:02}.npz", x=x, y=session.run(None, {"x": x})[0])
    calibration = tmp_path / "calib"
    calibration.mkdir()
    for index in range(8):
        x = generator.standard_normal((1, 4, 8, 8)).astype(np.float32)
        np.savez(calibration / f"{index}.npz", x=x)
    return Question(path, data, calibration, "tensors", max_drop=0.1, threads=1)


class KnownLatencies(LocalWorkers):
    """Latencies that follow from the artefact's lowered graph, so that two searches are equal."""

    def ratios(self, incumbent, places, *, rounds=None):
        base = self._latency(incumbent)
        ratios = [self._latency(place) / base for place in places]
        return [PairedRatio(ratio, ratio * 0.99, ratio * 1.01, 10) for ratio in ratios]

    @staticmethod
    def _latency(place):
        file = place / "lowered.onnx" if place.is_dir() else place
        data = file.read_bytes()
        digest = int.from_bytes(hashlib.sha256(data).digest()[:4], "big") / 2**32
        return len(data) * (1 + 0.1 * digest)


@pytest.fixture
def searcher(question):
    """Makes a search in a folder."""

    def make(folder, targets=("ort-fp32", "ort-int8"), *, resume=False, seed=0, jobs=1):
        goals, _ = chosen_targets(targets, calibrated=True)
        knobs, listed = chosen_knobs(goals)
        evaluator = Evaluator(question)
        asked = request_document(evaluator, goals, listed, seed=seed)
        study = Study(folder, asked, ("latency", "size"), seed=seed, resume=resume)
        sensitivities = Sensitivities(
            question.model, evaluator.calibration, folder / "sensitivities.json"
        )
        workers = KnownLatencies(evaluator, jobs, None)
        return Search(
            study, question.model, goals, knobs, sensitivities, workers, question.max_drop
        )

    return make
