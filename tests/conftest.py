"""What several test folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# CI repeats the same examples; at a desk hypothesis looks for new ones.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

ROOT = Path(__file__).parents[1]

# Workers of pytest-xdist share the cores, and OpenMP's threads wait for each other by spinning. The
# variable is read when torch is loaded, here and in the processes that tests start.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))

# Tests see passes at work, and leave the user's cache alone; those of the cache name their own.
os.environ["LPRC_NO_CACHE"] = "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked gpu run where TensorRT engines do."""
    if item.get_closest_marker("gpu") is not None:
        from lprc.core.targets.runtimes import runtime

        obstacle = runtime("tensorrt").obstacle()
        if obstacle is not None:
            pytest.skip(obstacle)


@pytest.fixture(scope="session")
def lprnet_data() -> Path:
    """The real weights and plates that LPRC_DATA names."""
    folder = Path(os.environ.get("LPRC_DATA", ROOT.parent / "shared" / "lprnet"))
    if not (folder / "Final_LPRNet_model.pth").is_file():
        pytest.skip(f"no real LPRNet at {folder}; set LPRC_DATA")
    return folder


@pytest.fixture(scope="session")
def lprnet_onnx(lprnet_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real LPRNet as `lprc export` writes it."""
    from lprc.models.checkpoint import load_checkpoint
    from lprc.models.export import export_onnx

    path = tmp_path_factory.mktemp("lprnet") / "lprnet.onnx"
    export_onnx(load_checkpoint(lprnet_data / "Final_LPRNet_model.pth"), path)
    return path


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The bundled model."""
    return ROOT / "models" / "lprnet_synthetic.onnx"


@pytest.fixture(scope="session")
def plates() -> Path:
    """The bundled test plates."""
    return ROOT / "models" / "synthetic_plates" / "test"


@pytest.fixture(scope="session")
def frames() -> Path:
    """The photographs with plates that LPRC_FRAMES names."""
    folder = Path(os.environ.get("LPRC_FRAMES", ROOT.parent / "shared" / "frames"))
    if not (folder / "val" / "instances.json").is_file():
        pytest.skip(f"no photographs at {folder}; set LPRC_FRAMES")
    return folder
