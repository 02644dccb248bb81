"""Searches on a Dask cluster: two workers of this machine, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from lprc.compiler.cluster.connection import WorkersLostError
from lprc.compiler.cluster.parcels import unpacked
from lprc.compiler.searching.candidate import candidate
from lprc.compiler.searching.outcome import Bars
from lprc.compiler.searching.parcels import question_in, question_parcel
from lprc.compiler.searching.workers import Job, LocalWorkers
from lprc.core.errors import UsageError
from lprc.core.targets.target import target

distributed = pytest.importorskip("distributed")


@pytest.fixture
def workers(cluster, question):
    from lprc.compiler.searching.cluster import ClusterWorkers

    found = ClusterWorkers(cluster.scheduler_address, question, "BOX")
    yield found
    found.close()


def _jobs(tmp_path, *pieces):
    goal = target("ort-fp32")
    plain = candidate(goal, [], {}, lambda _: [])
    rows = [plain.document() | {"pipeline": f"{plain.pipeline}{piece}"} for piece in pieces]
    made = [type(plain).from_document(row) for row in rows]
    return [Job(each, tmp_path / f"artefact-{at}", Bars()) for at, each in enumerate(made)]


def test_a_parcel_holds_all_and_is_equal_for_equal_files(question, tmp_path):
    packed = question_parcel(question)
    parcel = packed.parcel
    assert parcel.digest == question_parcel(question).parcel.digest
    folder = unpacked(parcel.payload, parcel.digest, tmp_path / "there")
    assert unpacked(parcel.payload, parcel.digest, tmp_path / "there") == folder
    there = question_in(folder, packed.question)
    assert there.model.read_bytes() == question.model.read_bytes()
    for ours, theirs in ((question.data, there.data), (question.calibration, there.calibration)):
        names = sorted(path.name for path in ours.iterdir())
        assert sorted(path.name for path in theirs.iterdir()) == names


def test_workers_do_what_this_process_does(workers, question, tmp_path):
    from lprc.compiler.searching.evaluate import Evaluator

    jobs = _jobs(tmp_path, "", ",quantize-weights{bits=8}")
    found = workers.evaluate(jobs)
    (tmp_path / "here").mkdir()
    local = LocalWorkers(Evaluator(question), 1, None)
    expected = local.evaluate(_jobs(tmp_path / "here", "", ",quantize-weights{bits=8}"))
    assert [each.stage for each in found] == [each.stage for each in expected]
    assert [each.accuracy for each in found] == [each.accuracy for each in expected]
    assert [each.lowered_sha256 for each in found] == [each.lowered_sha256 for each in expected]
    for job in jobs:
        here = (tmp_path / "here" / job.place.name / "manifest.json").read_bytes()
        assert (job.place / "manifest.json").read_bytes() == here
    ratios = workers.ratios(question.model, [jobs[0].place], rounds=10)
    assert ratios[0].value > 0


def test_workers_are_counted_though_the_client_forgets_them(workers, monkeypatch):
    monkeypatch.setattr(distributed.Client, "scheduler_info", lambda *_, **__: {"workers": {}})
    assert workers._cluster.count == 2


def test_files_are_sent_again_where_a_worker_is_lost_meanwhile(workers, monkeypatch):
    scatter = distributed.Client.scatter
    failures = [OSError("Stream is closed")] * 2

    def lossy(self, *arguments, **options):
        if failures:
            raise failures.pop()
        return scatter(self, *arguments, **options)

    monkeypatch.setattr(distributed.Client, "scatter", lossy)
    future = workers._cluster.submit(_size)
    assert workers._cluster.result(future) > 1000
    failures += [OSError("Stream is closed")] * 9
    workers._cluster._holders = set()
    with pytest.raises(WorkersLostError, match="Stream is closed"):
        workers._cluster.submit(_size)


def _size(payload, digest):
    return len(payload)


def test_what_a_killed_worker_was_at_is_done_by_another(workers, tmp_path):
    pids = list(workers._cluster.everywhere(os.getpid).values())
    pieces = ["", ",quantize-weights{bits=8}", ",quantize-weights{min-elements=600}"]

    def kill():
        time.sleep(0.3)
        os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    jobs = _jobs(tmp_path, *pieces, *pieces)
    outcomes = workers.evaluate(jobs)
    thread.join()
    assert pids[0] not in workers._cluster.everywhere(os.getpid).values()
    assert len(outcomes) == 6
    assert not [each.why for each in outcomes if each.stage == "failed"]
    assert [each.lowered_sha256 for each in outcomes[:3]] == [
        each.lowered_sha256 for each in outcomes[3:]
    ]


def test_a_scheduler_that_does_not_answer(question, monkeypatch):
    from lprc.compiler.cluster import connection
    from lprc.compiler.searching import cluster

    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1)
    with pytest.raises(UsageError, match="no scheduler answers"):
        cluster.ClusterWorkers("tcp://127.0.0.1:9", question, None)


def test_latencies_of_different_machines_are_not_compared(cluster, question, monkeypatch):
    from lprc.compiler.searching import cluster as module

    kinds = {"a": ["Linux", "one"], "b": ["Linux", "other"]}
    monkeypatch.setattr(distributed.Client, "run", lambda *_: kinds)
    with pytest.raises(UsageError, match="its workers are 2 kinds of machines") as caught:
        module.ClusterWorkers(cluster.scheduler_address, question, None)
    assert "--measure-on KIND" in str(caught.value.hint)
