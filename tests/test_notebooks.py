"""Every notebook runs from the first cell to the last, in a kernel of its own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICK = {"write-a-pass"}
SHOWN_AS_TABLES = {
    "compare-three-runtimes": 1,
    "lprnet-in-5-minutes": 4,
    "why-int8-lost-accuracy": 1,
    "write-a-pass": 1,
}
"""How many outputs of a notebook are tables of lprc's."""


def read(path: Path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_without_outputs(path):
    """They are another machine's milliseconds, and this test makes them anew."""
    nbformat.validate(read(path))
    for cell in read(path).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.timeout(1800)  # of a machine that does other things too
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem not in QUICK))
        for path in NOTEBOOKS
    ],
)
def test_it_runs(path, tmp_path, monkeypatch):
    notebook = read(path)
    folder = furnished(tmp_path, monkeypatch)
    client = nbclient.NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    pages = [output.data.get("text/html", "") for output in outputs if "data" in output]
    assert sum(page.startswith("<table") for page in pages) == SHOWN_AS_TABLES[path.stem]
    text = "".join(output.get("text", "") for output in outputs)
    assert "error: " not in text  # of a command of the shell, which does not end a notebook


def furnished(folder: Path, monkeypatch) -> Path:
    """A copy of the notebooks' surroundings, with a home, a cache and an ``lprc`` of its own."""
    programs = folder / "bin"
    for name in ("bin", "home", "tmp", "notebooks"):
        (folder / name).mkdir()
    shutil.copytree(ROOT / "models", folder / "models", ignore=shutil.ignore_patterns("*.py*"))
    program = programs / "lprc"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom lprc.cli import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    for name, value in {
        "COLUMNS": "200",
        "HOME": str(folder / "home"),
        "JUPYTER_PATH": "",
        "OMP_NUM_THREADS": "1",
        "LPRC_CACHE_DIR": str(folder / "cache"),
        "LPRC_NO_CACHE": "",
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(folder / "tmp"),
    }.items():
        monkeypatch.setenv(name, value)
    return folder / "notebooks"
