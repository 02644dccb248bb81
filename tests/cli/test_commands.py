"""Every command does its work and says so, for people and as JSON."""

from __future__ import annotations

import json
import shutil

import onnx
import pytest

from lprc.core.passing.pass_registry import pass_names


@pytest.mark.parametrize("target", ["onnx", "ort-fp32", "ov-fp32", "ov-fp16"])
def test_compile(lprc, small, tmp_path, target):
    out = tmp_path / "out"
    done = lprc("compile", small, "--target", target, "-o", out)
    assert "fold-bn" in done.stdout
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["target"].removeprefix("openvino") == target.removeprefix("ov")
    expected = {"model.xml", "model.bin"} if target.startswith("ov") else {"model.onnx"}
    always = {"lowered.onnx", "manifest.json", "passes.json"}
    assert {path.name for path in out.iterdir()} == always | expected
    lowered = onnx.load(out / "lowered.onnx")
    assert [node.op_type for node in lowered.graph.node] == ["Conv", "Relu"]
    assert str(tmp_path) not in (out / "manifest.json").read_text()


def test_compile_again_gives_the_same_bytes(lprc, small, tmp_path):
    for name in ("one", "two"):
        lprc("compile", small, "--target", "ov-fp32", "-o", tmp_path / name, "-q")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_compile_replaces_its_own_folder_and_no_other(lprc, small, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        lprc("compile", small, "--target", "onnx", "-o", out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    done = lprc("compile", small, "--target", "onnx", "-o", other, check=False)
    assert done.returncode == 9
    assert "holds files that lprc did not write" in done.stderr
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]


def test_compile_bundled_with_accuracy_and_latency(lprc, bundled, plates, tmp_path):
    done = lprc(
        "compile", bundled, "--target", "ov-fp32", "-o", tmp_path / "out",
        "--data", plates, "--bench", "--json",
    )  # fmt: skip
    before, after = json.loads(done.stdout)["comparison"]
    assert before["accuracy"] == after["accuracy"] >= 0.95
    assert before["ratio"] == 1.0
    assert after["ratio"] > 0


def test_emit_onnx_needs_no_sdk(lprc, small, tmp_path):
    out = tmp_path / "out"
    lprc("compile", small, "--target", "ov-fp32", "-o", out, "--emit", "onnx")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["lowered.onnx", "manifest.json", "passes.json"]
    rows = json.loads(lprc("bench", out, "--rounds", "3", "--json").stdout)
    assert rows[0]["backend"] == "ort"


def test_opt(lprc, small, tmp_path):
    out = tmp_path / "out.onnx"
    done = lprc("opt", small, "--passes", "fold-bn", "-o", out, "--verify", "each", "--json")
    document = json.loads(done.stdout)
    assert document["pipeline"] == "fold-bn"
    (record,) = document["passes"]
    assert record["rewrites"] == 1
    assert record["outputs"][0]["max_abs"] < 1e-4
    assert len(onnx.load(out).graph.node) == 2


def test_opt_writes_snapshots_of_changes_only(lprc, small, tmp_path):
    dump = tmp_path / "dump"
    lprc(
        "opt", small, "--passes", "legalize,fold-bn", "-o", tmp_path / "o.onnx", "--dump-dir", dump
    )
    stems = ["00-source", "02-fold-bn"]
    assert sorted(path.name for path in dump.iterdir()) == sorted(
        f"{stem}{suffix}" for stem in stems for suffix in (".onnx", ".txt")
    )


def test_eval(lprc, bundled, plates):
    document = json.loads(lprc("eval", bundled, "--data", plates, "--json").stdout)
    assert document["accuracy"] >= 0.95
    assert (document["task"], document["kind"]) == ("synthetic", "plates")
    assert len(document["wrong"]) == document["total"] - document["correct"]
    batched = json.loads(lprc("eval", bundled, "--data", plates, "--batch", "7", "--json").stdout)
    assert batched["accuracy"] == document["accuracy"]


def test_bench_takes_turns(lprc, small, tmp_path):
    copy = shutil.copy(small, tmp_path / "copy.onnx")
    done = lprc("bench", small, f"{copy}@openvino", "--rounds", "5", "--batch", "2", "--json")
    rows = json.loads(done.stdout)
    assert [row["backend"] for row in rows] == ["ort", "openvino"]
    assert rows[0]["ratio_to_first"] == 1.0


def test_passes_and_targets(lprc):
    listed = {item["name"] for item in json.loads(lprc("passes", "--json").stdout)}
    assert listed == set(pass_names())
    one = lprc("passes", "set-batch").stdout
    assert "contract: exact" in one
    assert "a number, or `dynamic`" in one
    assert "openvino-fp32" in lprc("targets").stdout
    assert "opset-range" in lprc("targets", "ov-fp32").stdout


def test_export_and_compile_real_weights(lprc, lprnet_data, tmp_path):
    model = tmp_path / "model.onnx"
    lprc("export", "--weights", lprnet_data / "Final_LPRNet_model.pth", "-o", model)
    out = tmp_path / "out"
    lprc("compile", model, "--target", "ov-fp32", "-o", out, "--calib", lprnet_data / "calib")
    document = json.loads(lprc("eval", out, "--data", lprnet_data / "val", "--json").stdout)
    assert document["accuracy"] == pytest.approx(0.905, abs=0.0025)


def test_opt_ends_with_what_it_wrote(lprc, bundled, plates, tmp_path):
    out = tmp_path / "o.onnx"
    done = lprc("opt", bundled, "--passes", "fold-bn", "-o", out, "--verify", "off")
    assert done.stdout.splitlines()[-1] == f"{out}: {out.stat().st_size / 1e6:.2f} MB"
    passes = "fold-bn,sparsify{pattern=2:4,criterion=magnitude,repair=none}"
    arguments = ("opt", bundled, "--passes", passes, "-o", out, "--task", "synthetic")
    done = lprc(*arguments, "--calib", plates)
    share = json.loads(lprc(*arguments, "--calib", plates, "--json").stdout)["agreement"]
    assert done.stdout.splitlines()[-1].endswith(f"; agreement with the source {share:.4f}")
    assert share < 0.99
    assert "behind sparsify, on samples that were fitted to: --data" in done.stderr
