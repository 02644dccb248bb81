"""Draw a terminal session: run commands of lprc, and write what they print as an SVG.

``python tools/terminal.py docs/terminal.svg`` from the repository's root makes the README's picture
again. Nothing in it is written by hand; a command that fails ends the program.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
COLUMNS = 108
MODEL, PLATES = "models/lprnet_synthetic.onnx", "models/synthetic_plates"
SESSION = (
    f"lprc compile {MODEL} --target ov-int8 --calib {PLATES}/calib --data {PLATES}/test"
    " -o build/int8 | tail -n 8",
    f"lprc run build/int8 {PLATES}/test/000.jpg",
    "lprc explain build/int8 backbone.0/Conv | sed -n '1,7p;/^pass /,/^$/p'",
)
"""The commands in their order; they run in an empty folder that has the repository's models."""

_FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" role="img" \
aria-label="SESSION" viewBox="0 0 {width} {height}">
<title>SESSION</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, "Liberation Mono", Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's frame, but for its fonts: those are loaded from elsewhere, and a picture loads nothing."""


def printed_by(command: str, folder: Path) -> str:
    """What `command` prints in `folder`, by the `lprc` of this interpreter.

    Raises:
        SystemExit: The command fails; its error is the message.
    """
    environment = {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "LPRC_CACHE_DIR": str(folder / ".cache"),
        "PYTHONPATH": str(ROOT),
    }
    program = f'lprc() {{ {shlex.quote(sys.executable)} -c "$MAIN" "$@"; }}; set -o pipefail; '
    environment["MAIN"] = "import sys; from lprc.cli import main; sys.exit(main())"
    done = subprocess.run(  # noqa: S603 - the commands above
        ["bash", "-c", program + command],  # noqa: S607 - the reader's shell
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def session_svg(printed: dict[str, str]) -> str:
    """The picture of commands, each with what it printed; equal sessions give equal text."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, color_system="truecolor")
        for number, (command, text) in enumerate(printed.items()):
            if number:
                console.print()
            console.print(Text("$ ", "bold green").append(command, "bold"))
            console.print(Text("\n".join(map(str.rstrip, text.rstrip().splitlines()))))
        console.print()  # else the frame cuts the last line's feet
    commands = "; ".join(command.split(" | ")[0] for command in printed)
    svg = console.export_svg(title="lprc", code_format=_FRAME, unique_id="session")
    return svg.replace("SESSION", escape(f"A terminal: {commands}"))


def main() -> None:
    """Run the session and write its picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="the SVG to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "models").symlink_to(ROOT / "models")
        printed = {command: printed_by(command, folder) for command in SESSION}
    arguments.out.write_text(session_svg(printed), encoding="utf-8")


if __name__ == "__main__":
    main()
