"""``lprc opt``: run a pipeline of passes over a model, without a target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    verbose_option,
    verify_option,
)
from lprc.cli.compile_cache import no_cache_option, say_cache_notes
from lprc.cli.input_options import input_options
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.pass_cost_options import costs_options
from lprc.cli.printing import PrintingCommand, printing, printing_options
from lprc.cli.say import say


@click.command("opt", cls=PrintingCommand)
@click.argument("model", type=PathArgument)
@click.option("--passes", "pipeline", required=True, help="The pipeline, as text.")
@click.option("-o", "--out", required=True, type=OutputArgument, help="The ONNX file to write.")
@verify_option("final")
@click.option("--calib", type=PathArgument, help="Images, or .npz files, for data-driven passes.")
@task_option
@input_options(fixed=True)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of random inputs.")
@click.option("--dump-dir", type=PathArgument, help="Write the model after each change here.")
@printing_options
@costs_options
@no_cache_option
@click.option("--data", type=PathArgument, help="Labelled samples for --stats.")
@click.option("--bench", "measure", is_flag=True, help="Measure latencies for --stats.")
@json_option
@quiet_option
@verbose_option
@click.option(
    "--check-passes", is_flag=True, help="Check that passes say truthfully what they changed."
)
@debug_option
def command(
    model: Path,
    pipeline: str,
    out: Path,
    verify: str,
    calib: Path | None,
    task: str | None,
    inputs: Path | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    seed: int,
    dump_dir: Path | None,
    print_changed: Any,
    print_before: tuple[str, ...],
    print_after: tuple[str, ...],
    no_cache: bool,
    time_passes: bool,
    stats: bool,
    data: Path | None,
    measure: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    check_passes: bool,
) -> None:
    """Run the passes of a pipeline over MODEL and write the result."""
    check_outputs()
    from lprc.cli.pass_cost_options import cost_settings, print_stats, print_times, stats_verify
    from lprc.cli.pass_table import agreement_text, print_records, records_document
    from lprc.cli.progress import reporter
    from lprc.cli.settings import verify_mode
    from lprc.compiler.cache.location import store_in_use
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes
    from lprc.compiler.compile.optimize import optimize_file
    from lprc.compiler.compile.settings import Memory, Observation
    from lprc.core.errors import UsageError

    if (data is not None or measure) and not stats:
        raise UsageError("it measures nothing without --stats", where="--data and --bench")
    store = store_in_use(off=no_cache)
    printed = printing(print_changed, print_before, print_after, to_stderr=as_json)
    # A bar and lines would share the terminal.
    silent = quiet or as_json or printed is not None
    with reporter("passes", quiet=silent) as progress:
        observation = Observation(
            progress=progress,
            printing=printed,
            costs=cost_settings(
                time_passes=time_passes,
                stats=stats,
                data=data,
                latency=measure,
                task=task,
                threads=None,
            ),
            dump_dir=dump_dir,
            reproducer=out.with_name(f"{out.stem}.broken"),
            check_passes=check_passes,
        )
        result = optimize_file(
            model,
            pipeline,
            out,
            calibration=calib,
            task=task,
            inputs=inputs,
            input_shapes=parsed_shapes(input_shapes),
            dims=parsed_dims(dims),
            verify=stats_verify(verify_mode(verify), stats=stats),
            seed=seed,
            observation=observation,
            memory=Memory(store),
        )
    if store is not None:
        store.close()
        say_cache_notes(store, verbose=verbose)
    if as_json:
        console.print_json({"output": str(out), **records_document(result)})
    elif not quiet:
        print_records(result, verbose=verbose)
        if stats:
            say()
            print_stats(result.costs)
        if time_passes:
            say()
            print_times(result.costs)
        written = console.size_text(out.stat().st_size)
        say(f"\n{out}: {written}{agreement_text(result)}")
