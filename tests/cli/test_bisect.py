"""``lprc bisect`` as a user runs it: a plug-in's bug, the reproducer's one command, its errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import planted
import pytest

PASSES = "infer-shapes,mul-to-div{wrong=mul13},eliminate-dead-code"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the plug-in installed, and an ``lprc`` that sees it."""
    folder = planted.install(tmp_path_factory.mktemp("site"))
    script = folder / "lprc"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lprc "$@"\n')
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return planted.chain(tmp_path_factory.mktemp("model") / "chain.onnx", 20)


@pytest.fixture
def run(site):
    def call(*words, code=0):
        root = Path(__file__).parents[2]
        paths = {
            "PYTHONPATH": f"{site}{os.pathsep}{root}",
            "PATH": f"{site}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            list(map(str, words)), capture_output=True, text=True, env={**os.environ, **paths}
        )
        assert done.returncode == code, done.stderr
        return done

    return call


def test_found_cut_and_replayed_with_one_command(run, model, tmp_path):
    out = tmp_path / "out"
    done = run("lprc", "bisect", model, "--passes", PASSES, "-o", out)
    assert done.stdout.splitlines()[:2] == [
        "pass 2 of 3: mul-to-div{wrong=mul13}",
        "rewrite 14 of 20: mul13 (Mul): a Div by the reciprocal",
    ]
    assert f"replay: lprc bisect --replay {out}" in done.stdout
    assert done.stderr == ""
    again = run("sh", out / "replay.sh", code=5)
    assert "still bad: m13: max" in again.stderr
    document = json.loads(run("lprc", "bisect", "--replay", out, "--json", code=5).stdout)
    assert document["broken"] is True
    (out / "pipeline.txt").write_text("mul-to-div\n")
    assert run("sh", out / "replay.sh").stdout.startswith("good: m13")


def test_json_and_verbose(run, model):
    done = run("lprc", "bisect", model, "--passes", PASSES, "--json", "-v")
    document = json.loads(done.stdout)
    assert document["rewrites"][0]["number"] == 14
    assert document["output"] is None
    told = [line for line in done.stderr.splitlines() if line.startswith("check ")]
    assert len(told) == document["checks"]
    assert told[0].startswith("check 1: the source: good")


def test_quiet(run, model):
    assert run("lprc", "bisect", model, "--passes", PASSES, "-q").stdout == ""


def test_a_check_with_odd_file_names(run, model, tmp_path):
    folder = tmp_path / "it's; here $HOME"
    folder.mkdir()
    script = folder / "check.py"
    script.write_text(
        "import sys, onnx\n"
        "nodes = onnx.load(sys.argv[1].removeprefix('--model=')).graph.node\n"
        "sys.exit(any(n.op_type == 'Div' and n.name.startswith('mul7_') for n in nodes))\n"
    )
    done = run(
        "lprc", "bisect", model, "--passes", "mul-to-div",
        "--check", f'"{sys.executable}" "{script}" --model={{}}',
    )  # fmt: skip
    assert "rewrite 8 of 20: mul7 (Mul)" in done.stdout


def test_accuracy_of_plates(run, bundled, plates, tmp_path):
    """With 80 % of its channels gone and nothing repaired it reads no plate."""
    header, *rows = (plates / "labels.csv").read_text(encoding="utf-8").splitlines()
    for row in rows[:20]:
        (tmp_path / row.partition(",")[0]).symlink_to(plates / row.partition(",")[0])
    text = "\n".join([header, *rows[:20]])
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    done = run(
        "lprc", "bisect", bundled, "--passes", "fold-bn,prune-channels{ratio=0.8},infer-shapes",
        "--metric", "accuracy>=0.5", "--data", tmp_path,
    )  # fmt: skip
    assert "pass 2 of 3: prune-channels{ratio=0.8}" in done.stdout
    assert "bad: accuracy 0\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--passes", "mul-to-div"], "there is nothing to find"),
        ([], "Give one of --passes and --target."),
        (["--passes", "mul-to-div", "--target", "onnx"], "Give one of --passes and --target."),
        (["--passes", "mul-to-div", "--metric", "loss<=1"], "unknown metric 'loss'"),
        (
            ["--passes", "mul-to-div", "--check", "no-such-program {}"],
            "can't run 'no-such-program'",
        ),
        (["--replay", "x"], "--replay takes no MODEL"),
    ],
)
def test_errors(run, model, words, message):
    assert message in run("lprc", "bisect", model, *words, code=2).stderr


def test_no_model(run):
    assert "Missing argument 'MODEL'" in run("lprc", "bisect", code=2).stderr
