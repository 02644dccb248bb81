"""Install a wheel of lprc into clean environments, and use it there from another folder.

    python tools/try_wheel.py dist/*.whl                    # each supported Python on the PATH
    python tools/try_wheel.py dist/*.whl --python python3.12

What the wheel needs comes from the package index, in the versions of ``constraints.txt``.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SUPPORTED = tuple(f"python3.{minor}" for minor in range(10, 15))

Run = Callable[[Sequence[str | Path], Path], str]
"""Runs a command in a folder and returns what it printed; raises where the command fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Try one wheel; 1 where it could not be used."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", action="append", help="an interpreter; may be repeated")
    options = parser.parse_args(arguments)
    failures = 0
    for python in options.python or interpreters():
        with tempfile.TemporaryDirectory() as folder:
            problem = _problem(python, options.wheel.resolve(), Path(folder))
        print(f"{python}: {problem or 'installed, compiled and run'}", flush=True)
        failures += problem is not None
    return 1 if failures else 0


def interpreters() -> list[str]:
    """The supported interpreters that start; a version manager's may stand on the PATH and not."""
    there = [name for name in SUPPORTED if shutil.which(name)]
    return [name for name in there if not subprocess.run([name, "-c", ""]).returncode]  # noqa: S603


def environment_from_index(python: str, wheel: Path, folder: Path, run: Run) -> Path:
    """A new environment in `folder` with the wheel and OpenVINO; returns its Python."""
    run([python, "-m", "venv", folder], folder.parent)
    own_python = folder / "bin/python"
    install = [own_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, "-c", ROOT / "constraints.txt", f"{wheel}[openvino]"], folder.parent)
    return own_python


def environment_beside(packages: Sequence[Path], wheel: Path, folder: Path, run: Run) -> Path:
    """The same without an index: the wheel alone, and other environments' folders of packages."""
    run([sys.executable, "-m", "venv", folder], folder.parent)
    own_python = folder / "bin/python"
    install = [own_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*install, "--no-deps", "--no-index", wheel], folder.parent)
    printed = run([own_python, "-c", "import site; print(site.getsitepackages()[0])"], folder)
    lines = "".join(f"{path}\n" for path in packages)
    (Path(printed.strip()) / "packages.pth").write_text(lines, encoding="utf-8")
    return own_python


def use(python: Path, folder: Path, run: Run) -> dict[str, str]:
    """Do what a user does first, with what the wheel brought.

    Args:
        python: The environment's.
        folder: An empty one to be in.
        run: Starts the commands.

    Returns:
        What ``--version``, ``compile`` and ``run`` printed, and where the package lies.
    """
    lprc = python.with_name("lprc")
    where = "import lprc.models as models; print(models.__path__[0])"
    models = Path(run([python, "-c", where], folder).strip())
    model, plates = models / "lprnet_synthetic.onnx", models / "synthetic_plates"
    calibration = ["--calib", plates / "calib", "--task", "synthetic"]
    return {
        "models": str(models),
        "version": run([lprc, "--version"], folder),
        "compile": run(
            [lprc, "compile", model, "--target", "ov-int8", *calibration, "-o", "int8"], folder
        ),
        "run": run([lprc, "run", "int8", plates / "test/000.jpg"], folder),
    }


def _problem(python: str, wheel: Path, folder: Path) -> str | None:
    """What went wrong, with the last lines that the command wrote; None where nothing did."""
    (folder / "elsewhere").mkdir()
    try:
        use(
            environment_from_index(python, wheel, folder / "environment", _run),
            folder / "elsewhere",
            _run,
        )
    except subprocess.CalledProcessError as error:
        last_lines = "\n".join((error.stderr or error.stdout or "").splitlines()[-5:])
        return f"'{' '.join(map(str, error.cmd))}' failed\n{last_lines}"
    return None


def _run(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603
        list(map(str, command)), cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
