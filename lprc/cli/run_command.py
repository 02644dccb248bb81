"""``lprc run``: pictures in, answers out."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, quiet_option, task_option, threads_option
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say
from lprc.core.errors import DataError

if TYPE_CHECKING:
    from lprc.compiler.frames.frame import Frame
    from lprc.compiler.frames.results import Found, Reading


@click.command("run")
@click.argument("what", type=PathArgument)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE…")
@click.option("-o", "--out", type=OutputArgument, help="Folder for annotated pictures and videos.")
@click.option("--show-stages", is_flag=True, help="Tell how long each step takes.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document a frame and line.")
@task_option
@threads_option
@quiet_option
@debug_option
def command(
    what: Path,
    sources: tuple[str, ...],
    out: Path | None,
    show_stages: bool,
    as_json: bool,
    task: str | None,
    threads: int | None,
    quiet: bool,
) -> int:
    """Run WHAT (an artefact, a model file or a pipeline.toml) on pictures.

    SOURCE is an image, a folder, a pattern, a video, a camera's number, an address (rtsp://…) or
    - for standard input. What can't be read is named, the rest goes on, and the exit code is 8.
    """
    check_outputs()
    from lprc.cli.progress import reporter
    from lprc.compiler.frames.built import networks_of
    from lprc.compiler.frames.pictures import Album
    from lprc.compiler.frames.run import run_frames
    from lprc.compiler.frames.share import share_of_cores
    from lprc.compiler.frames.sources import frames_at_most
    from lprc.compiler.frames.sources import sources as named_sources

    places = named_sources(sources, sys.stdin.buffer)
    share = share_of_cores(threads, frames=frames_at_most(places))
    networks = networks_of(what, task, share)
    broken = total = 0
    unwritable = False
    stages: dict[str, list[float]] = {}
    with ExitStack() as stack:
        hidden = quiet or sys.stdout.isatty()  # lines would run through the bar
        progress = stack.enter_context(reporter("running", quiet=hidden))
        album = None if out is None else stack.enter_context(Album(out))
        for frame in run_frames(places, networks, album):
            total += 1
            if frame.error is not None:
                broken += 1
                say(f"warning: {frame.name}: {frame.error}", err=True)
            elif out is not None and not unwritable:
                unwritable = _warn_of_words(frame)
            for name, seconds in frame.stages.items():
                stages.setdefault(name, []).append(seconds)
            if as_json:
                _print_line(frame, show_stages)
            elif not quiet and frame.error is None:
                print_frame(frame)
            if progress is not None:
                progress(total, max(total, sum(place.length for place in places)))
    if show_stages and not as_json:
        _print_stages(stages)
    if broken:
        say(f"error: {broken} of {total} frames could not be read", err=True)
        return DataError.exit_code
    return 0


def _print_line(frame: Frame, show_stages: bool) -> None:
    from lprc.core.printable import json_escaped

    document = frame.document(stages=show_stages)
    say(json_escaped(json.dumps(document, ensure_ascii=False, allow_nan=False)))


def print_frame(frame: Frame) -> None:
    """A line for each thing that was found in a frame, or for its whole answer."""
    reading = frame.reading
    when = "" if frame.seconds is None else f" {frame.seconds:.3f} s"
    if reading.boxes is None:
        say(f"{frame.name}{when}: {_read(reading)}")
        return
    shown = list(reading.shown_boxes())
    if not shown:
        say(f"{frame.name}{when}: nothing found")
    for item in shown:
        say(f"{frame.name}{when}: {_box(item)}")


def _box(found: Found) -> str:
    left, top, right, bottom = (round(side) for side in found.box)
    text = f"{found.label} {found.score:.2f} at {left},{top} to {right},{bottom}"
    for reading in found.readings.values():
        if reading.boxes is None:
            text += f": {_read(reading)}"
        else:
            text += f": {', '.join(map(_box, reading.shown_boxes())) or 'nothing found'}"
    return text


def _read(reading: Reading) -> str:
    """An answer and, where it is known, how sure its least sure character is."""
    text = reading.text or "no text"
    return f"{text} {min(reading.confidence):.2f}" if reading.confidence else text


def _warn_of_words(frame: Frame) -> bool:
    from lprc.compiler.frames.draw import unwritable_words

    words = unwritable_words(frame)
    if words is not None:
        console.note(
            f"warning: no font here has all characters of '{words}': pictures show empty boxes "
            'in their place; pip install "lprc[vision]" brings one'
        )
    return words is not None


def _print_stages(stages: dict[str, list[float]]) -> None:
    from statistics import median

    rows = [
        (name, str(len(taken)), f"{median(taken) * 1e3:.3f}", f"{max(taken) * 1e3:.3f}")
        for name, taken in stages.items()
    ]
    out = console.stdout()
    out.print(console.table(["step", ">frames", ">median ms", ">longest ms"], rows))
