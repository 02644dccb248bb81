"""``lprc search`` as a user calls it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from processes import start

from lprc.cli.search_command import seconds_of
from lprc.core.errors import UsageError


@pytest.fixture
def arguments(bundled, plates, tmp_path):
    """A search of the bundled model, judged by few plates."""
    data = tmp_path / "few"
    data.mkdir()
    rows = (plates / "labels.csv").read_text().splitlines()
    (data / "labels.csv").write_text("\n".join(rows[:25]) + "\n")
    for row in rows[1:25]:
        name = row.split(",")[0]
        (data / name).write_bytes((plates / name).read_bytes())
    return [
        "search", bundled, "--task", "synthetic", "--data", data, "--threads", "1",
        "--targets", "ort-fp32,ov-fp32", "--study", tmp_path / "study", "--max-accuracy-drop", "0.1",
    ]  # fmt: skip


def test_a_search_and_what_is_picked(lprc, arguments, tmp_path):
    out = tmp_path / "best"
    done = lprc(*arguments, "--trials", "3", "--pick", "smallest", "-o", out, "--json")
    document = json.loads(done.stdout)
    assert document["trials"] == 3
    assert [row["label"] for row in document["targets"]] == ["ort-fp32", "openvino-fp32"]
    manifest = json.loads((out / "manifest.json").read_text())
    request = json.loads((tmp_path / "study" / "request.json").read_text())
    assert manifest["search"] == {"study": request["id"], "trial": document["picked"]}
    sizes = {row["trial"]: row["size_bytes"] for row in document["front"]}
    assert sizes[document["picked"]] == min(sizes.values())
    for name in ("front.html", "front.svg", "front.json"):
        assert (tmp_path / "study" / name).stat().st_size > 1000
    assert lprc("verify", out).returncode == 0

    again = lprc(*arguments, "--trials", "1", check=False)
    assert again.returncode == 2
    assert "there is a study already" in again.stderr
    more = lprc(*arguments, "--trials", "1", "--resume")
    assert "4 trials" in more.stdout
    assert "median of paired ratios" in more.stdout


def test_kill_9_loses_what_was_running_and_no_more(lprc, arguments, tmp_path):
    database = tmp_path / "study" / "study.sqlite"
    command = [sys.executable, "-m", "lprc", *arguments, "--budget", "10min"]
    with start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 120
            while _finished(database) < 1 and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
    before = _finished(database)
    assert before >= 1
    done = lprc(*arguments, "--trials", "1", "--resume", "--json")
    assert json.loads(done.stdout)["trials"] == before + 1


def _finished(database):
    if not database.is_file():
        return 0
    try:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            query = "select count(*) from trials where state = 'COMPLETE'"
            return connection.execute(query).fetchone()[0]
    except sqlite3.OperationalError:  # it is being made
        return 0


def test_wrong_usage(lprc, arguments):
    for more, message in (
        (["--pick", "fastest"], "--pick and -o belong together"),
        (["--budget", "soon"], "'soon' is no duration"),
        (["--objective", "speed"], "'speed' is no list of objectives"),
        (["--measure-on", "BOX"], "it names workers of a --scheduler"),
    ):
        done = lprc(*arguments, *more, check=False)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_durations():
    assert [seconds_of(text) for text in ("90s", "10min", "1h30min", "45", "1.5h")] == [
        90, 600, 5400, 45, 5400,
    ]  # fmt: skip
    with pytest.raises(UsageError):
        seconds_of("")
