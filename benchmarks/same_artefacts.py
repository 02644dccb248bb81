"""Do two states of lprc make the same bytes? Artefacts of six networks, and what lprc lists.

    python benchmarks/same_artefacts.py 362119b            # against this checkout as it lies
    python benchmarks/same_artefacts.py HEAD~3 HEAD --quick
    python benchmarks/same_artefacts.py ../before ../after --engines

BEFORE and AFTER are git revisions, for which worktrees are made in a temporary folder, or folders
that hold a checkout. Each case is one run of ``python -m lprc`` with the PYTHONPATH of its
checkout, in an empty folder; both runs read the same model and images. Compared are the exit
status, both streams and every byte of every file written: lowered.onnx, passes.json and
manifest.json, with ``--engines`` also what the runtime loads. Nothing is normalised but the paths
of checkouts and scratch folders in the streams, for builds of one state don't differ from each
other. Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from _artefact_cases import Case, compilations, listings, networks
from _folder_differences import differences
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 2


@contextmanager
def checkout(state: str, scratch: Path) -> Iterator[Path]:
    """The folder of a checkout that is there, or of a worktree of a revision.

    Raises:
        SystemExit: Neither a folder with lprc in it nor a revision of this repository.
    """
    folder = Path(state).resolve()
    if (folder / "lprc" / "__main__.py").is_file():
        yield folder
        return
    worktree = scratch / "lprc"
    git = ("git", "-C", str(ROOT), "worktree")
    added = subprocess.run(
        [*git, "add", "--quiet", "--detach", str(worktree), state], capture_output=True, text=True
    )
    if added.returncode:
        sys.exit(f"{state}: neither a checkout's folder nor a revision: {added.stderr.strip()}")
    try:
        yield worktree
    finally:
        subprocess.run([*git, "remove", "--force", str(worktree)], check=True)


def run(case: Case, state: Path, folder: Path) -> None:
    """Run `case` with the lprc of the checkout `state`; everything it leaves lies in `folder`."""
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PYTHONPATH": str(state),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": home,
            "TMPDIR": home,
            "LPRC_NO_CACHE": "1",
            "COLUMNS": "200",
            "OMP_NUM_THREADS": "1",
        }
        completed = subprocess.run(
            [sys.executable, "-m", "lprc", *case.arguments, *case.output(folder)],
            cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        for name, stream in (("stdout", completed.stdout), ("stderr", completed.stderr)):
            for path, label in ((state, b"CHECKOUT"), (folder, b"FOLDER"), (home, b"HOME")):
                stream = stream.replace(str(path).encode(), label)
            (folder / name).write_bytes(stream)
    (folder / "status").write_text(f"{completed.returncode}\n", encoding="utf-8")


def imported(state: Path) -> None:
    """Make sure that ``python -m lprc`` under PYTHONPATH is that of the checkout `state`.

    Raises:
        SystemExit: Another lprc comes first, so nothing would be compared.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        located = subprocess.run(
            [sys.executable, "-c", "import lprc; print(*lprc.__path__)"],
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": str(state)},
            capture_output=True,
            text=True,
        )
    if located.stdout.strip() != str(state / "lprc"):
        sys.exit(f"{state}: another lprc is imported: {located.stdout or located.stderr}")


def compared(case: Case, states: tuple[Path, Path], scratch: Path) -> tuple[Case, str, list[str]]:
    """Run a case in both states: the verdict ("same", "refused" or "DIFFERS") and what differs."""
    folders = scratch / "before", scratch / "after"
    for state, folder in zip(states, folders, strict=True):
        run(case, state, folder)
    lines = differences(*folders)
    status = (folders[0] / "status").read_text(encoding="utf-8").strip()
    shutil.rmtree(scratch)
    return case, "DIFFERS" if lines else "same" if status == "0" else f"refused ({status})", lines


def compare_all(
    cases: Iterable[Case], states: tuple[Path, Path], scratch: Path
) -> Iterator[tuple[Case, str, list[str]]]:
    """Every case, `PROCESSES` at a time, in order."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        pending = [
            pool.submit(compared, case, states, scratch / str(number))
            for number, case in enumerate(cases)
        ]
        for future in pending:
            case, verdict, lines = future.result()
            print(f"{verdict:8} {case.row} {case.column}", file=sys.stderr, flush=True)
            yield case, verdict, lines


def table(results: list[tuple[Case, str, list[str]]]) -> Table:
    """A row a target or listing, a column a network; cells that hold several cases count them."""
    columns = list(dict.fromkeys(case.column for case, _, _ in results))
    shown = Table("", *columns, box=None)
    for row in dict.fromkeys(case.row for case, _, _ in results):
        cells = []
        for column in columns:
            verdicts = Counter(
                verdict for case, verdict, _ in results if (case.row, case.column) == (row, column)
            )
            several = verdicts.total() > 1
            cells.append(
                ", ".join(
                    f"{count} {verdict}" if several else verdict
                    for verdict, count in verdicts.items()
                )
            )
        shown.add_row(row, *cells)
    return shown


def main() -> int:
    """Compare, print, and say by the exit status whether anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", nargs="?", default="HEAD~1", help="default: HEAD~1")
    parser.add_argument("after", nargs="?", default=str(ROOT), help="default: this checkout")
    parser.add_argument("--quick", action="store_true", help="two networks, five targets")
    parser.add_argument("--engines", action="store_true", help="also what the runtimes load")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        scratch = Path(folder)
        states = []
        for name in ("before", "after"):
            (scratch / name).mkdir()
            state = checkout(getattr(arguments, name), scratch / name)
            states.append(stack.enter_context(state))
            imported(states[-1])
        models = networks(scratch / "networks", quick=arguments.quick)
        cases = [
            *listings(quick=arguments.quick),
            *compilations(models, quick=arguments.quick, engines=arguments.engines),
        ]
        results = list(compare_all(cases, (states[0], states[1]), scratch / "runs"))
    Console(width=200).print(table(results))
    for case, _, lines in results:
        for line in lines:
            print(f"{case.row} {case.column} {line}")
    differing = sum(bool(lines) for _, _, lines in results)
    print(f"{len(results) - differing} of {len(results)} cases are the same")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
