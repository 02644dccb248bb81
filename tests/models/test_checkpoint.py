"""Checkpoints load in the usual wrappings; anything else gets a clear error."""

from __future__ import annotations

import pickle

import pytest
import torch
from models_support import random_lprnet

from lprc.core.errors import DataError
from lprc.models.checkpoint import load_checkpoint


@pytest.fixture
def state():
    return random_lprnet(12).state_dict()


def saved(tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
    ],
)
def test_loads(tmp_path, state, wrap):
    model = load_checkpoint(saved(tmp_path, wrap(state)), num_classes=12)
    assert not model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key])


def test_the_module_itself_is_not_unpickled(tmp_path):
    with pytest.raises(DataError, match="not a torch checkpoint of tensors"):
        load_checkpoint(saved(tmp_path, random_lprnet(12)))


def test_hostile_pickle_does_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError):
        load_checkpoint(path)
    assert not (tmp_path / "pwned").exists()


def broken(state, key, value):
    copy = dict(state)
    if value is None:
        del copy[key]
    else:
        copy[key] = value
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: broken(s, "backbone.5.weight", None),
            "1 tensors are missing, first 'backbone.5.weight'",
        ),
        (lambda s: broken(s, "head.bias", torch.zeros(3)), "1 unknown tensors, first 'head.bias'"),
        (
            lambda s: broken(s, "backbone.0.bias", torch.zeros(3)),
            r"'backbone.0.bias' is \[3\], not \[64\]",
        ),
        (lambda s: broken(s, "backbone.0.bias", 3), "'backbone.0.bias' is not a tensor"),
        (lambda s: broken(s, "container.0.weight", None), "not LPRNet"),
        (lambda s: {}, "not a state dict"),
        (lambda s: [1, 2], "holds a list"),
    ],
)
def test_wrong_content(tmp_path, state, change, message):
    with pytest.raises(DataError, match=message):
        load_checkpoint(saved(tmp_path, change(state)))


def test_another_number_of_classes(tmp_path, state):
    with pytest.raises(DataError, match="has 12 classes, not 68"):
        load_checkpoint(saved(tmp_path, state), num_classes=68)


@pytest.mark.parametrize("keep", [0, 10, 1000, 100_000])
def test_truncated(tmp_path, state, keep):
    path = saved(tmp_path, state)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"weights\.pth"):
        load_checkpoint(path)


def test_missing(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_checkpoint(tmp_path / "none.pth")
