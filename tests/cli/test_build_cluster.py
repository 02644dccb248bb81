"""``lprc build`` on two workers of this machine, one of which is killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time

import pytest

from lprc.compiler.project.cluster_builds import _arguments, _files
from lprc.compiler.project.plan import plan
from lprc.compiler.project.read import parse
from lprc.core.errors import UsageError

distributed = pytest.importorskip("distributed")

PROJECT = """\
[model.net]
file = "../net.onnx"
task = "mine.toml"

[build.all]
model = "net"
target = ["onnx", "ort-fp32"]
passes = "legalize"
emit = "onnx"
guard = true

[build.wrong]
model = "net"
target = "onnx"
passes = "fold-bm"
"""


@pytest.fixture
def project(tmp_path, small):
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(small, tmp_path / "net.onnx")
    text = PROJECT.replace('task = "mine.toml"\n', "").replace("guard = true\n", "")
    (folder / "lprc.toml").write_text(text)
    return folder


def test_workers_build_what_this_machine_builds(lprc, project):
    lprc("build", "-C", project, "all", "-q")
    names = ["onnx", "ort-fp32"]
    ours = {
        name: {path.name: path.read_bytes() for path in (project / "build/all" / name).iterdir()}
        for name in names
    }
    lprc("clean", "-C", project)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
        thread = threading.Thread(target=_kill_at_work, args=(cluster.scheduler_address, pids[0]))
        thread.start()
        done = lprc(
            "build", "-C", project, "--json", "--scheduler", cluster.scheduler_address, check=False
        )
        thread.join()
    assert "unknown pass 'fold-bm'" in done.stderr
    assert done.returncode == 2
    rows = json.loads(done.stdout)["builds"]
    assert [row["status"] for row in rows] == ["built", "built", "failed"]
    for name in names:
        folder = project / "build/all" / name
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == ours[name]
    rows = json.loads(lprc("build", "-C", project, "--dry-run", "--json", "all").stdout)["builds"]
    assert [row["status"] for row in rows] == ["fresh", "fresh"]


def _kill_at_work(address, pid):
    """Kill a worker as soon as tasks run."""
    with distributed.Client(address, set_as_default=False) as client:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if any(client.processing().values()):
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.05)


def test_files_keep_their_names_and_those_outside_get_one(tmp_path, small):
    (tmp_path / "project").mkdir()
    shutil.copy(small, tmp_path / "net.onnx")
    (tmp_path / "project" / "mine.toml").write_text("")
    builds = plan(parse(PROJECT, "lprc.toml"), "lprc.toml")
    files = _files(tmp_path / "project", builds[0])
    assert {path.name for path in files.values()} == {"net.onnx", "mine.toml"}
    assert files["root/mine.toml"] == tmp_path / "project" / "mine.toml"
    (outside,) = [place for place in files if place.startswith("outside/")]
    command, model, *options = _arguments(builds[0])
    assert (command, model) == ("compile", f"../{outside}")
    assert options[options.index("--task") + 1] == "mine.toml"
    assert "-o" not in options
    assert options[-1] == "--guard"


def test_files_of_options_are_refused(project):
    text = PROJECT.replace('emit = "onnx"', 'emit = "onnx"\noptions = {work = "tuned.json"}')
    (project / "tuned.json").write_text("{}")
    builds = plan(parse(text, "lprc.toml"), "lprc.toml")
    with pytest.raises(UsageError, match=r"option work=tuned.json names a file"):
        _files(project, builds[0])


def test_a_worker_of_another_kind_is_refused(lprc, project):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            client.run(_pretend_to_be_another)
        done = lprc(
            "build", "-C", project, "all", "--scheduler", cluster.scheduler_address, check=False
        )
    assert done.returncode == 2
    assert "is not as this machine: the machine changed" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def _pretend_to_be_another():
    from lprc.compiler.cache import surroundings

    surroundings.machine = lambda: ["another"]
