"""Every row of the published reports beside ours: the page, the figures as JSON, two plots.

    python benchmarks/published.py --quick               # rows of seconds to a minute
    python benchmarks/published.py                       # all, with training and tuning
    python benchmarks/published.py --rows torchscript,int8 --again

A row that has a result in the state folder is not made again (``--again`` does). The page is
written after each row, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from _published.cell import Settings, measured
from _published.page import page
from _published.plots import draw
from _published.rows import ROWS

from lprc.core.process.cpu_facts import cpu_name

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LPRC_DATA", ROOT.parent / "shared" / "lprnet"))
PACKAGES = ("torch", "openvino", "onnxruntime", "apache-tvm", "nncf")


def main() -> int:
    """Make the rows that are asked for; 1 where one failed."""
    arguments = _arguments()
    settings = Settings(
        model=_exported(arguments),
        weights=arguments.data / "Final_LPRNet_model.pth",
        calibration=arguments.data / "calib",
        data=arguments.data / "val",
        state=arguments.state,
        seconds=3.0 if arguments.quick else arguments.seconds,
    )
    failed = False
    for row in ROWS:
        wanted = not arguments.rows or row.name in arguments.rows
        if row.elsewhere or not wanted or (arguments.quick and row.is_slow):
            continue
        file = arguments.state / f"{row.name.replace(':', '-')}.json"
        if file.is_file() and not arguments.again:
            continue
        try:
            cell = measured(row, settings)
        except Exception as error:  # noqa: BLE001 - a row that fails is a result
            cell = {"row": row.name, "problem": " ".join(str(error).split())[-300:]}
            failed = True
        file.write_text(json.dumps(cell, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(cell), flush=True)
        _write(arguments)
    _write(arguments)
    return int(failed)


def _write(arguments: argparse.Namespace) -> None:
    """The page, the figures and the plots of all rows that have a result."""
    cells = {}
    for row in ROWS:
        file = arguments.state / f"{row.name.replace(':', '-')}.json"
        if file.is_file():
            cells[row.name] = json.loads(file.read_text(encoding="utf-8"))
    about = _about()
    text = json.dumps({"about": about, "rows": list(cells.values())}, indent=1)
    (arguments.out / "results.json").write_text(text + "\n", encoding="utf-8")
    (arguments.out / "results.md").write_text(page(cells, about), encoding="utf-8")
    draw({name: cell for name, cell in cells.items() if "problem" not in cell}, arguments.out)


def _about() -> dict[str, str]:
    """The machine, what is installed, and the commit."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    return {
        "machine": f"{os.cpu_count()} cores, {cpu_name()}",
        "Python": platform.python_version(),
        "versions": versions,
        "commit": done.stdout.strip() or "none",
    }


def _exported(arguments: argparse.Namespace) -> Path:
    """The raw export of the checkpoint, made once."""
    model: Path = arguments.state / "lprnet.onnx"
    if not model.is_file():
        arguments.state.mkdir(parents=True, exist_ok=True)
        weights = arguments.data / "Final_LPRNet_model.pth"
        command = ["export", "--weights", str(weights), "-o", str(model), "-q"]
        subprocess.run([sys.executable, "-m", "lprc", *command], check=True)
    return model


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="", help="some of them, by commas: " + _names())
    parser.add_argument("--quick", action="store_true", help="leave out what takes minutes")
    parser.add_argument("--again", action="store_true", help="make and measure anew")
    parser.add_argument("--seconds", type=float, default=10.0, help="of turns a row")
    parser.add_argument("--data", type=Path, default=DATA, help="weights, calib and val")
    parser.add_argument("--state", type=Path, default=ROOT / "build" / "published")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="of the page and plots")
    arguments = parser.parse_args()
    arguments.rows = {name for name in arguments.rows.split(",") if name}
    unknown = arguments.rows - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no row '{sorted(unknown)[0]}'; there are {_names()}")
    return arguments


def _names() -> str:
    return ", ".join(row.name for row in ROWS if not row.elsewhere)


if __name__ == "__main__":
    sys.exit(main())
