"""``lprc finetune`` as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")

QUICK = ("--steps", "12", "--batch", "8", "--evaluate-every", "4", "--seed", "3")


@pytest.fixture
def sparse(lprc, bundled, tmp_path):
    path = tmp_path / "sparse.onnx"
    passes = "fold-bn,sparsify{pattern=2:4,criterion=magnitude,repair=none}"
    lprc("opt", bundled, "--passes", passes, "-o", path, "--verify", "off", "-q")
    return path


def _kernels(path):
    arrays = (onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer)
    return [each for each in arrays if each.ndim == 4 and each.shape[1] % 4 == 0]


def test_a_sparse_model_learns_from_its_original(lprc, bundled, plates, sparse, tmp_path):
    out = tmp_path / "tuned.onnx"
    arguments = ("finetune", sparse, "--data", plates, "--task", "synthetic", *QUICK)
    done = lprc(*arguments, "--teacher", bundled, "-o", out, "--json")
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert [look["step"] for look in found["looks"]] == [0, 4, 8, 12]
    assert found["looks"][-1]["held_out"] < 0.9 * found["looks"][0]["held_out"]
    assert found["zeros"] > 50_000
    for before, after in zip(_kernels(sparse), _kernels(out), strict=True):
        assert np.array_equal(before == 0, after == 0)
        groups = (after != 0).reshape(after.shape[0], -1, 4, *after.shape[2:]).sum(axis=2)
        assert groups.max() <= 2
    onnx.checker.check_model(str(out))


@pytest.mark.parametrize(
    ("held_out", "taken_step", "warned"),
    [((0.5, 0.4, 0.6), 8, True), ((0.5, 0.4, 0.6), 4, False), ((None, None, None), 8, False)],
)
def test_weights_that_got_worse_are_said(held_out, taken_step, warned):
    from lprc.cli.finetune_command import held_out_warnings
    from lprc.compiler.training.finetune import Tuned
    from lprc.compiler.training.trainer import Look

    looks = tuple(Look(4 * at, 1.0, loss) for at, loss in enumerate(held_out))
    warnings = held_out_warnings(Tuned(looks, taken_step, 3, 0, 0, "cpu"))
    assert bool(warnings) == warned
    if warned:
        assert "grew from 0.5000 to 0.6000: --take best would have taken" in warnings[0]
        assert "the weights with 0.4000" in warnings[0]


def test_labels_need_no_teacher(lprc, bundled, plates, tmp_path):
    out = tmp_path / "tuned.onnx"
    done = lprc("finetune", bundled, "--data", plates, "--task", "synthetic", *QUICK, "-o", out)
    assert "weights trained on" in done.stdout
    assert out.is_file()


def test_a_checkpoint_goes_on(lprc, bundled, plates, sparse, tmp_path):
    whole, rest, state = tmp_path / "whole.onnx", tmp_path / "rest.onnx", tmp_path / "run.pt"
    arguments = (
        "finetune", sparse, "--data", plates, "--task", "synthetic", *QUICK,
        "--teacher", bundled, "-q",
    )  # fmt: skip
    lprc(*arguments, "-o", whole, "--checkpoint", state)
    lprc(*arguments, "-o", rest, "--resume", state)  # nothing is left to do
    assert rest.read_bytes() == whole.read_bytes()


def test_other_networks_learn_from_arrays(lprc, small, tmp_path):
    x = np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    out = tmp_path / "tuned.onnx"
    lprc("finetune", small, "--data", tmp_path / "x.npz", "--teacher", small, *QUICK, "-o", out)
    assert out.is_file()


def test_errors_leave_nothing(lprc, bundled, small, plates, tmp_path):
    np.savez(tmp_path / "y.npz", y=np.zeros((4, 3), np.float32))
    out = tmp_path / "out.onnx"
    for arguments, code, message in [
        ((small, "--data", tmp_path / "y.npz", "--teacher", small), 8, "it has y"),
        ((small, "--data", plates, "--teacher", small), 8, "no built-in task has images"),
        ((bundled, "--data", plates, "--task", "synthetic", "--steps", "0"), 2, "--steps"),
        (
            (bundled, "--data", plates, "--task", "synthetic", "--loss", "distillation"),
            2,
            "--teacher",
        ),
        ((tmp_path / "none.onnx", "--data", plates), 3, "none.onnx"),
    ]:
        done = lprc("finetune", *arguments, "-o", out, check=False)
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert not out.exists()
