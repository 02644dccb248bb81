"""The cache as users meet it: many at once, killed, damaged, switched off."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest

from lprc.cli import main
from lprc.compiler.cache.store import Store

PIPELINE = "infer-shapes,legalize,fold-bn,eliminate-identity"


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LPRC_CACHE_DIR", str(folder))
    monkeypatch.delenv("LPRC_NO_CACHE", raising=False)
    return folder


@pytest.fixture
def call(cache, capsys):
    def run(*arguments, code=0):
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        shown = capsys.readouterr()
        assert ended.value.code == code, shown.err
        return shown.out, shown.err

    return run


def arguments(model, out, *more):
    return ["compile", model, "--target", "onnx", "--passes", PIPELINE, "-o", out, *more]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def compile_json(call, *args):
    return json.loads(call(*args, "--json")[0])


def test_the_second_time_nothing_is_compiled(call, small, tmp_path):
    cold = compile_json(call, *arguments(small, tmp_path / "a"))
    warm = compile_json(call, *arguments(small, tmp_path / "b"))
    plain = compile_json(call, *arguments(small, tmp_path / "c", "--no-cache"))
    assert (cold["cached"], warm["cached"], plain["cached"]) == (False, True, False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")
    assert warm["output"] == str(tmp_path / "b")
    assert warm["inputs"] == cold["inputs"] == [str(small)]
    assert warm["comparison"][1]["artefact"] == str(tmp_path / "b")
    same = ("pipeline", "passes", "warnings", "emitter", "bytes")
    assert [warm[key] for key in same] == [cold[key] for key in same]


def test_it_is_said_and_warnings_are_repeated(call, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    out, _ = call(*arguments(small, tmp_path / "a"))
    assert "from the cache" in out
    assert call(*arguments(small, tmp_path / "a", "-q"))[0] == ""
    out, _ = call(*arguments(small, tmp_path / "a", "-v"))
    assert "fold-bn" in out


@pytest.mark.parametrize(
    "more",
    [
        ["--seed", "1"],
        ["--verify", "each"],
        ["--then", "eliminate-dead-code"],
        ["--emit", "onnx"],
    ],
)
def test_another_request_is_another_compile(call, small, tmp_path, more):
    call(*arguments(small, tmp_path / "a"))
    assert not compile_json(call, *arguments(small, tmp_path / "a", *more))["cached"]


def test_another_model_is_another_compile(call, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    small.write_bytes(small.read_bytes().replace(b"Relu", b"Tanh"))
    assert not compile_json(call, *arguments(small, tmp_path / "a"))["cached"]


def test_another_version_is_another_compile(call, small, tmp_path, monkeypatch):
    call(*arguments(small, tmp_path / "a"))
    monkeypatch.setattr(
        "lprc.compiler.cache.surroundings.installed_versions", lambda names: {"onnx": "0"}
    )
    assert not compile_json(call, *arguments(small, tmp_path / "a"))["cached"]


def test_what_has_to_be_seen_at_work_is_compiled(call, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    dump = tmp_path / "dump"
    assert not compile_json(call, *arguments(small, tmp_path / "a", "--dump-dir", dump))["cached"]
    assert any(dump.iterdir())


def test_a_folder_of_others_is_refused(call, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    _, err = call(*arguments(small, other), code=9)
    assert "did not write" in err
    assert contents(other) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("kind", ["artefact", "emitted", "model", "pass", "sources", "weights"])
def test_damaged_entries_are_made_again(call, cache, small, tmp_path, kind):
    call(*arguments(small, tmp_path / "a"))
    paths = list(cache.glob(f"v*/{kind}/*/*"))
    if kind != "emitted":  # an ONNX file is its own lowered graph
        assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[:-2])
    call(*arguments(small, tmp_path / "b"))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert compile_json(call, *arguments(small, tmp_path / "c"))["cached"]


def test_opt_uses_it_too(call, cache, small, tmp_path):
    first = json.loads(call("opt", small, "--passes", PIPELINE, "-o", tmp_path / "a", "--json")[0])
    assert Store(cache, 1 << 30).usage().entries["pass"] == 4
    again = json.loads(call("opt", small, "--passes", PIPELINE, "-o", tmp_path / "b", "--json")[0])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert len(first["passes"]) == len(again["passes"]) == 4


def test_off_it_is_not_touched(call, cache, small, tmp_path, monkeypatch):
    call(*arguments(small, tmp_path / "a", "--no-cache"))
    call("opt", small, "--passes", PIPELINE, "-o", tmp_path / "b", "--no-cache")
    monkeypatch.setenv("LPRC_NO_CACHE", "1")
    call(*arguments(small, tmp_path / "a"))
    assert not cache.exists()


def test_info_prune_and_clear(call, cache, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    info = json.loads(call("cache", "info", "--json")[0])
    assert info["folder"] == str(cache)
    assert info["used"] is True
    assert info["limit"] == 1 << 30
    assert info["entries"]["artefact"] == 1
    assert info["bytes"] == sum(path.stat().st_size for path in cache.glob("v*/*/??/*"))
    assert "artefacts" in call("cache", "info")[0]
    dropped = json.loads(call("cache", "prune", "--size", "2kB", "--json")[0])["dropped_bytes"]
    assert dropped > 0
    assert json.loads(call("cache", "info", "--json")[0])["bytes"] <= 2000
    call("cache", "clear")
    assert json.loads(call("cache", "info", "--json")[0])["entries"] == {}
    _, err = call("cache", "prune", "--size", "much", code=2)
    assert "is no size" in err


def test_it_stays_within_its_size(call, cache, small, tmp_path, monkeypatch):
    monkeypatch.setenv("LPRC_CACHE_SIZE", "20kB")
    for seed in range(4):
        call(*arguments(small, tmp_path / "a", "--seed", seed))
    assert json.loads(call("cache", "info", "--json")[0])["bytes"] <= 20_000


def test_a_cache_that_cannot_be_written_is_said(call, cache, small, tmp_path):
    cache.write_text("no folder")
    _, err = call(*arguments(small, tmp_path / "a"))
    assert "the cache can't be written" in err
    assert (tmp_path / "a" / "manifest.json").is_file()


def start(model: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lprc", *map(str, arguments(model, out, "-q", *more))]
    return processes.start(command, stderr=subprocess.PIPE)


def check_whole(cache: Path) -> None:
    """Every entry reads back."""
    store = Store(cache, 1 << 30)
    paths = list(cache.glob("v*/*/??/*"))
    assert paths
    for path in paths:
        assert store.read(path.parent.parent.name, path.name) is not None, path


def test_eight_compiles_at_once(cache, bundled, tmp_path):
    runs = [start(bundled, tmp_path / f"out{number}") for number in range(8)]
    for process in runs:
        _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        assert not err
    first = contents(tmp_path / "out0")
    for number in range(1, 8):
        assert contents(tmp_path / f"out{number}") == first
    check_whole(cache)


def kill_often(cache: Path, model: Path, folder: Path, times: int) -> None:
    plain = folder / "plain"
    started = time.monotonic()
    assert start(model, plain, "--no-cache").wait() == 0
    whole = time.monotonic() - started
    expected = contents(plain)
    generator = random.Random(0)
    out = folder / "out"
    killed = 0
    for number in range(times):
        if generator.random() < 0.3:  # else the first that gets through ends all work
            for path in cache.glob("v*/artefact/??/*"):
                path.unlink()
        process = start(model, out)
        # The first surely falls into the work, however busy the machine was before.
        time.sleep((generator.uniform(0.3, 1.05) if number else 0.2) * whole)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if out.exists():
            assert contents(out) == expected
        if cache.exists() and any(cache.glob("v*/*/??/*")):
            check_whole(cache)
    assert killed
    assert start(model, out).wait() == 0
    assert contents(out) == expected
    check_whole(cache)


def test_killed_compiles_leave_nothing_torn(cache, small, tmp_path):
    kill_often(cache, small, tmp_path, 4)


@pytest.mark.slow
def test_fifty_killed_compiles_leave_nothing_torn(cache, small, tmp_path):
    kill_often(cache, small, tmp_path, 50)


def test_a_hit_imports_nothing_heavy(call, small, tmp_path):
    call(*arguments(small, tmp_path / "a"))
    code = (
        "import sys; from lprc.cli import main\n"
        f"try: main({[str(each) for each in arguments(small, tmp_path / 'b')]!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'numpy', 'onnx', 'onnx_ir', 'onnxruntime', 'pydantic', 'openvino'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))
