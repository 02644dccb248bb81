"""``lprc sweep`` as a user calls it."""

from __future__ import annotations

import json

import pytest

PASS = "prune-channels{target-macs={}, importance=l1}"


@pytest.fixture
def curve(lprc, bundled, plates, tmp_path):
    def run(*more, check=True):
        return lprc(
            "sweep", bundled, "--pass", PASS, "--values", "1.0,0.9", "--task", "synthetic",
            *more, check=check,
        )  # fmt: skip

    return run


def test_table_json_and_plot(curve, plates, tmp_path):
    svg, out = tmp_path / "curve.svg", tmp_path / "kept"
    done = curve("--data", plates, "--calib", plates, "--json", "--plot", svg, "-o", out)
    found = json.loads(done.stdout)
    assert (found["option"], found["target"]) == ("target-macs", "onnx")
    assert [row["value"] for row in found["rows"]] == ["1.0", "0.9"]
    whole, same, less = found["unchanged"], *found["rows"]
    assert whole["value"] == "unchanged"
    assert "prune-channels" not in whole["pipeline"]
    assert less["pipeline"].endswith("prune-channels{target-macs=0.9,importance=l1}")
    assert whole["accuracy"] > 0.9
    assert same["accuracy"] == whole["accuracy"]
    assert less["accuracy"] < whole["accuracy"]
    assert same["agreement"] == 1.0 > less["agreement"]
    assert 0.85 * whole["macs"] < less["macs"] <= 0.9 * whole["macs"]
    assert less["median_ms"] is None
    assert svg.read_text().startswith("<?xml")
    assert (out / "0.9" / "manifest.json").is_file()
    assert done.stderr == ""


def test_a_whole_pipeline_and_nothing_to_prune(lprc, small):
    done = lprc(
        "sweep", small, "--passes", "fold-bn,infer-shapes,prune-channels{target-size={}}",
        "--values", "1,0.001", check=False,
    )  # fmt: skip
    # All channels are the graph's output.
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["target-size", "MACs", "parameters", "size"]
    assert [line.split()[:2] for line in lines[2:]] == [["1", lines[1].split()[1]],
                                                        ["0.001", "failed"]]  # fmt: skip
    assert done.returncode == 6
    assert "1.000 is left when all that may go is gone" in done.stderr


def test_the_reason_of_a_failure_is_said(lprc, bundled):
    done = lprc(
        "sweep", bundled, "--pass", PASS, "--values", "0.000001", "--task", "synthetic",
        check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert done.stdout.splitlines()[-1].split() == ["0.000001", "failed"]
    assert "target-macs=0.000001: prune-channels{target-macs=1e-06}" in done.stderr
    assert "is left when all that may go is gone" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--values", "1"], "give one of --pass and --passes"),
        (["--values", "1", "--pass", "{}", "--passes", "{}"], "give one of --pass and --passes"),
        (["--values", "1", "--pass", "fold-bn"], "no {} to put the values in"),
        (["--values", "1", "--pass", PASS, "--plot", "curve.pdf"], "neither .svg nor .png"),
        (["--values", "x", "--pass", PASS], "not of type float"),
        (["--values", "0.5", "--passes", f"calibrate,{PASS}"], "prune-channels after calibrate"),
    ],
)
def test_wrong_usage(lprc, bundled, arguments, message):
    done = lprc("sweep", bundled, *arguments, check=False)
    assert done.returncode == 2
    assert message in done.stderr
