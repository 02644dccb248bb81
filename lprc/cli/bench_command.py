"""``lprc bench``: latencies of several models or artefacts, interleaved in one run."""

from __future__ import annotations

from pathlib import Path

import click

from lprc.cli import console
from lprc.cli.common import SEED, debug_option, json_option, quiet_option, threads_option
from lprc.cli.input_options import input_options
from lprc.core.errors import UsageError


@click.command("bench")
@click.argument("artefacts", nargs=-1, required=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@input_options(fixed=False)
@click.option("--rounds", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=20, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the inputs.")
@click.option(
    "--streams",
    metavar="1,2,…",
    help="Of a pipeline: how many streams at once.  [default: 1]",
)
@click.option("--draw", is_flag=True, help="Of a pipeline: draw its answers, too.")
@threads_option
@json_option
@quiet_option
@debug_option
def command(
    artefacts: tuple[str, ...],
    batch: int,
    inputs: Path | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    rounds: int,
    warmup: int,
    seed: int,
    streams: str | None,
    draw: bool,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure ARTEFACTS in turn (blocks of A, B, A, B …); ratios are to the first.

    Each is a folder of `compile` or a model file; `model.onnx@openvino` names the runtime.

    A pipeline.toml with images or videos behind it is measured in frames a second; --rounds are
    the frames of each stream.
    """
    if artefacts[0].endswith(".toml"):
        from lprc.cli.bench_pipeline import bench_pipeline

        bench_pipeline(
            artefacts[0],
            artefacts[1:],
            streams=streams or "1",
            frames=rounds,
            threads=threads,
            draw=draw,
            as_json=as_json,
        )
        return
    if streams is not None or draw:
        raise UsageError("is for a pipeline.toml", where="--draw" if draw else "--streams")
    from lprc.cli.progress import reporter
    from lprc.compiler.compile.bench_request import bench_on
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes
    from lprc.core.running.input_sizes import HOW_TO_GIVE, size_texts

    with reporter("measuring", quiet=quiet or as_json) as progress:
        rows = bench_on(
            artefacts,
            batch=batch,
            inputs=inputs,
            input_shapes=parsed_shapes(input_shapes),
            dims=parsed_dims(dims),
            threads=threads,
            rounds=rounds,
            warmup=warmup,
            seed=seed,
            progress=progress,
        )
    if rows[0].invented and not quiet:
        sizes = size_texts(rows[0].invented)
        console.note(f"warning: measured at sizes that were made up, {sizes}: {HOW_TO_GIVE}")
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    cells = [
        (
            row.name,
            row.backend,
            f"{row.median_ms:.3f}",
            f"{row.p95_ms:.3f}",
            f"{row.ratio_to_first:.3f}",
            console.size_text(row.size_bytes),
        )
        for row in rows
    ]
    columns = ["artefact", "runtime", ">median ms", ">p95 ms", ">ratio", ">size"]
    console.stdout().print(console.table(columns, cells))
