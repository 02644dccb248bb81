"""A damaged or odd checkpoint never loads quietly and never ends in a traceback of torch's."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from models_support import random_lprnet

from lprc.core.errors import DataError
from lprc.models.checkpoint import load_checkpoint

BIAS, HEAD = "backbone.0.bias", "container.0.weight"


@pytest.fixture(scope="module")
def state():
    return random_lprnet(12).state_dict()


def saved(folder: Path, content, *, zipped: bool = True) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {BIAS: s[BIAS] * float("nan")}, f"'{BIAS}' has values that are not finite"),
        (lambda s: {BIAS: s[BIAS].double() * 1e300}, f"'{BIAS}' has values that are not finite"),
        (lambda s: {BIAS: s[BIAS].int()}, "is torch.int32, not torch.float32"),
        (lambda s: {BIAS: s[BIAS].to(torch.complex64)}, "is torch.complex64, not torch.float32"),
        (lambda s: {BIAS: s[BIAS].to_sparse()}, "is not a dense tensor with values"),
        (lambda s: {BIAS: torch.empty(64, device="meta")}, "is not a dense tensor with values"),
        (lambda s: {f"module.{BIAS}": s[BIAS]}, "both with and without 'module.'"),
        (lambda s: {HEAD: torch.zeros(0, 448, 1, 1)}, "0 classes are less than"),
        # Expanded storage: a few bytes on disk that ask for terabytes of network.
        (
            lambda s: {HEAD: torch.zeros(1, 1, 1, 1).expand(10**9, 1, 1, 1)},
            r"not \[1000000000, 256",
        ),
    ],
)
def test_odd_tensors(tmp_path, state, change, message):
    path = saved(tmp_path, {**state, **change(state)})
    with pytest.raises(DataError, match=message):
        load_checkpoint(path)


def test_half_precision_loads_as_float32(tmp_path, state):
    half = {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    }
    assert load_checkpoint(saved(tmp_path, half)).state_dict()[HEAD].dtype == torch.float32


@pytest.mark.parametrize("outer", ["model", "state_dict"])
@pytest.mark.parametrize("inner", ["model", "state_dict"])
def test_wrappers_nest_in_any_order(tmp_path, state, outer, inner):
    loaded = load_checkpoint(saved(tmp_path, {outer: {inner: state}}))
    assert torch.equal(loaded.state_dict()[BIAS], state[BIAS])


def test_a_wrapper_inside_itself_ends(tmp_path):
    cycle: dict[str, object] = {}
    cycle["model"] = cycle
    with pytest.raises(DataError, match="'model' is not a tensor"):
        load_checkpoint(saved(tmp_path, cycle))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
def test_flipped_and_cut_bytes(tmp_path, state, zipped):
    """Each one loads whole finite weights or is refused; no other exception gets out."""
    path = saved(tmp_path, state, zipped=zipped)
    whole, generator, refused = path.read_bytes(), random.Random(0), 0
    for attempt in range(60):
        damaged = bytearray(whole)
        if attempt % 2:
            del damaged[int(len(whole) * generator.random() ** 3) :]
        else:
            for _ in range(generator.choice([1, 5, 50])):
                damaged[generator.randrange(9000)] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            loaded = load_checkpoint(path)
        except DataError:
            refused += 1
        else:
            assert all(value.isfinite().all() for value in loaded.state_dict().values())
    assert refused >= 30


def test_without_torch_the_hint_is_the_install_command(tmp_path):
    script = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from lprc.core.errors import MissingDependencyError
from lprc.models.checkpoint import load_checkpoint
try:
    load_checkpoint(Path("weights.pth"))
except MissingDependencyError as error:
    print(error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == 'pip install "lprc[torch]"'
