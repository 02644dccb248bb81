"""``lprc bench PIPELINE.toml SOURCE…``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lprc.cli import console
from lprc.core.errors import UsageError


def bench_pipeline(
    file: str,
    words: Sequence[str],
    *,
    streams: str,
    frames: int,
    threads: int | None,
    draw: bool,
    as_json: bool,
) -> None:
    """Measure a pipeline, and print frames a second and each step's median.

    Args:
        file: The pipeline's.
        words: Where its frames come from.
        streams: How many at once, or several such numbers with commas between them.
        frames: Of each stream.
        threads: Of each network; None shares the cores.
        draw: Whether answers are drawn, too.
        as_json: Whether one JSON document is printed.
    """
    from lprc.compiler.frames.bench import bench_streams
    from lprc.compiler.frames.built import built_networks
    from lprc.compiler.frames.read_pipeline import read_pipeline
    from lprc.compiler.frames.share import share_of_cores
    from lprc.compiler.frames.sources import sources

    counts = _counts(streams)
    if not words:
        raise UsageError(
            "names no frames", where=file, hint=f"lprc bench {file} VIDEO|FOLDER|IMAGE…"
        )
    pipeline = read_pipeline(Path(file))
    places = sources(words)
    rows = [
        bench_streams(
            lambda share: built_networks(pipeline, share),
            places,
            streams=count,
            frames=frames,
            share=share_of_cores(threads, streams=count),
            draw=draw,
        )
        for count in counts
    ]
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    out = console.stdout()
    cells = [
        (
            *map(str, (row.streams, row.frames, row.workers, row.threads)),
            f"{row.frames_per_second:.1f}",
        )
        for row in rows
    ]
    out.print(
        console.table([">streams", ">frames", ">at once", ">threads", ">frames a second"], cells)
    )
    titles = ["median ms", *(f">{row.streams} stream{'s' * (row.streams > 1)}" for row in rows)]
    steps = [
        (name, *(f"{row.stages[name]:.3f}" for row in rows if name in row.stages))
        for name in rows[0].stages
    ]
    out.print(console.table(titles, steps))


def _counts(text: str) -> list[int]:
    counts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= count <= 64 for count in counts):
        raise UsageError(f"'{text}' is no list of numbers from 1 to 64", where="--streams")
    return counts
