"""A sweep on two workers of this machine, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.samples import samples_of
from lprc.compiler.sweeping.pipeline_template import pipeline_sweep
from lprc.compiler.sweeping.sweep import Measures, sweep
from lprc.core.onnx_io.model_io import load
from lprc.core.tasks.task_file import task_choice

distributed = pytest.importorskip("distributed")

GRAPH = """<ir_version: 9, opset_import: ["" : 18]>
g (float[1,4,8,8] x) => (float[1,8] y) {
    a = Conv<pads=[1,1,1,1]>(x, w0) b = Relu(a)
    c = Conv(b, w1) p = GlobalAveragePool(c) y = Flatten(p)
}"""


@pytest.fixture
def network(tmp_path):
    generator = np.random.default_rng(0)
    model = onnx.parser.parse_model(GRAPH)
    for name, shape in (("w0", (32, 4, 3, 3)), ("w1", (8, 32, 1, 1))):
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "net.onnx")
    calib = tmp_path / "calib"
    calib.mkdir()
    for index in range(12):
        sample = generator.standard_normal((1, 4, 8, 8)).astype(np.float32)
        np.savez(calib / f"{index:02}.npz", x=sample)
    return tmp_path / "net.onnx"


def test_two_workers_and_a_killed_one_say_what_this_machine_says(cluster, network, tmp_path):
    from lprc.compiler.sweeping.cluster_sweep import SweepJob, sweep_on_cluster

    calib = network.parent / "calib"
    text = pipeline_sweep(
        "legalize,fold-bn,prune-channels{target-macs={}}",
        ["1.0", "0.5", "0.001"],
    )
    samples = samples_of(load(network), str(network), calib, task_choice(None))
    local = sweep(network, "onnx", text, tmp_path / "local", Measures(samples=samples), emit="onnx")
    assert [row.error is None for row in local.rows] == [True, True, False]

    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())

    def kill():
        time.sleep(0.5)
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    job = SweepJob(network, "onnx", "onnx", calib, None, Measures(latency=True, threads=1))
    there = sweep_on_cluster(job, text, tmp_path / "there", cluster.scheduler_address, "BOX")
    thread.join()

    def facts(swept):
        return [
            (row.value, row.error, row.agreement, row.snr_db, row.macs, row.size_bytes)
            for row in (swept.unchanged, *swept.rows)
        ]

    assert facts(there) == facts(local)
    for value in ("unchanged", "1.0", "0.5"):
        ours = (tmp_path / "there" / value / "lowered.onnx").read_bytes()
        assert ours == (tmp_path / "local" / value / "lowered.onnx").read_bytes()
    assert there.unchanged.latency_ratio == 1.0
    assert all(row.latency_ratio > 0 for row in there.rows if row.error is None)
