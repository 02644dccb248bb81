"""``lprc bench``: latencies of several models or artefacts, interleaved in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    threads_option,
)
from lprc.cli.input_options import input_options
from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.cli.progress import Progress
    from lprc.compiler.measure.bench import BenchRows
    from lprc.compiler.measure.load import LoadRow
    from lprc.core.running.layer_times import LayerTime

RATIO = "ratio: median of paired ratios to the first, with its 95 % interval"


@click.command("bench")
@click.argument("artefacts", nargs=-1, required=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@input_options(fixed=False)
@click.option("--data", type=PathArgument, help="Measure on the first of these labelled samples.")
@task_option
@click.option("--rounds", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--warmup", type=click.IntRange(min=0), default=20, show_default=True)
@click.option(
    "--streams",
    metavar="N",
    help="Throughput: so many requests at once, each with the model loaded for itself. Of a "
    "pipeline: how many streams at once, one number or several (1,2,…).",
)
@click.option("--requests", type=click.IntRange(min=1), help="Throughput: so many in all.")
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    help="Throughput: so many seconds of each.  [default: 10]",
)
@click.option("--draw", is_flag=True, help="Of a pipeline: draw its answers, too.")
@click.option("--per-layer", is_flag=True, help="Show what each layer takes, as runtimes count it.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the inputs.")
@threads_option
@json_option
@quiet_option
@debug_option
def command(
    artefacts: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    per_layer: bool,
    draw: bool,
    **given: Any,
) -> None:
    """Measure ARTEFACTS in turn (blocks of A, B, A, B …); ratios are to the first.

    Each is a folder of `compile` or a model file; `model.onnx@openvino` names the runtime.

    A pipeline.toml with images or videos behind it is measured in frames a second; --rounds are
    the frames of each stream.
    """
    loaded = [name for name in ("streams", "requests", "duration") if given[name] is not None]
    if artefacts[0].endswith(".toml"):
        _pipeline(artefacts, given, as_json=as_json, draw=draw, per_layer=per_layer)
        return
    _check(loaded, given, per_layer=per_layer, draw=draw)
    from lprc.cli.progress import reporter

    with reporter("measuring", quiet=quiet or as_json) as progress:
        if per_layer:
            _show_layers(artefacts, given, as_json=as_json)
        elif loaded:
            _show_load(_load(artefacts, given, progress), as_json=as_json)
        else:
            _show_latencies(_latencies(artefacts, given, progress), as_json=as_json, quiet=quiet)


def _pipeline(
    artefacts: tuple[str, ...], given: dict[str, Any], *, as_json: bool, draw: bool, per_layer: bool
) -> None:
    """Measure a pipeline.

    Raises:
        UsageError: Options that are for artefacts.
    """
    for name in ("requests", "duration", "data"):
        if given[name] is not None:
            raise UsageError("is for artefacts, not for a pipeline.toml", where=f"--{name}")
    if per_layer:
        raise UsageError("is for artefacts, not for a pipeline.toml", where="--per-layer")
    from lprc.cli.bench_pipeline import bench_pipeline

    bench_pipeline(
        artefacts[0],
        artefacts[1:],
        streams=given["streams"] or "1",
        frames=given["rounds"],
        threads=given["threads"],
        draw=draw,
        as_json=as_json,
    )


def _check(loaded: list[str], given: dict[str, Any], *, per_layer: bool, draw: bool) -> None:
    """Refuse options that contradict each other.

    Raises:
        UsageError: They do, or are for a pipeline.
    """
    if draw:
        raise UsageError("is for a pipeline.toml", where="--draw")
    streams = given["streams"] or "1"
    if not streams.isdecimal() or int(streams) < 1:
        raise UsageError(
            f"'{streams}' is no number of requests at once",
            where="--streams",
            hint="several numbers are for a pipeline.toml",
        )
    if per_layer and loaded:
        raise UsageError("layers are counted one run at a time", where=f"--{loaded[0]}")
    if given["requests"] is not None and given["duration"] is not None:
        raise UsageError("--requests says how many already", where="--duration", hint="drop one")
    if given["data"] is None and given["task"] is not None:
        raise UsageError("it says how --data become inputs", where="--task", hint="give --data")


def _places(given: dict[str, Any]) -> dict[str, Any]:
    """Where inputs come from, as `measured_on` takes it."""
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes

    return {
        "inputs": given["inputs"],
        "data": given["data"],
        "task": given["task"],
        "input_shapes": parsed_shapes(given["input_shapes"]),
        "dims": parsed_dims(given["dims"]),
    }


def _latencies(
    artefacts: tuple[str, ...], given: dict[str, Any], progress: Progress | None
) -> BenchRows:
    from lprc.compiler.compile.bench_request import bench_on

    own = {name: given[name] for name in ("batch", "rounds", "warmup", "seed")}
    return bench_on(artefacts, **_places(given), **own, threads=given["threads"], progress=progress)


def _show_latencies(rows: BenchRows, *, as_json: bool, quiet: bool) -> None:
    from lprc.compiler.measure.bench import COLUMNS
    from lprc.core.running.input_sizes import HOW_TO_GIVE, size_texts

    if rows[0].invented and not quiet:
        sizes = size_texts(rows[0].invented)
        console.note(f"warning: measured at sizes that were made up, {sizes}: {HOW_TO_GIVE}")
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    deployed = [console.size_text(row.size_bytes) for row in rows]
    cells = [(*texts, size) for texts, size in zip(rows.texts(), deployed, strict=True)]
    console.stdout().print(console.table([*COLUMNS, ">size"], cells))
    if len(rows) > 1:
        console.stdout().print(RATIO)


def _load(
    artefacts: tuple[str, ...], given: dict[str, Any], progress: Progress | None
) -> list[LoadRow]:
    from lprc.compiler.compile.bench_request import measured_on
    from lprc.compiler.measure.load import LoadSettings, under_load

    inputs = measured_on(**_places(given))
    settings = LoadSettings(
        int(given["streams"] or 1), given["requests"], given["duration"] or 10.0
    )
    return under_load(
        artefacts,
        settings,
        batch=given["batch"],
        inputs=inputs,
        threads=given["threads"],
        seed=given["seed"],
        progress=progress,
    )


def _show_load(rows: list[LoadRow], *, as_json: bool) -> None:
    if as_json:
        console.print_json([row.document() for row in rows])
        return
    ranks = list(rows[0].latency_ms)
    cells = [
        (
            row.name,
            row.backend,
            f"{row.per_second:.1f}",
            "1.000" if row is rows[0] else str(row.ratio),
            *(f"{row.latency_ms[rank]:.3f}" for rank in ranks),
            str(row.requests),
        )
        for row in rows
    ]
    columns = ["artefact", "runtime", ">requests/s", ">ratio", *(f">{r} ms" for r in ranks)]
    console.stdout().print(console.table([*columns, ">requests"], cells))
    console.stdout().print(f"streams: {rows[0].streams}; a request is one batch")
    if len(rows) > 1:
        console.stdout().print(RATIO)


def _show_layers(artefacts: tuple[str, ...], given: dict[str, Any], *, as_json: bool) -> None:
    from lprc.compiler.compile.bench_request import layers_on

    own = {name: given[name] for name in ("batch", "rounds", "seed")}
    layers_by_artefact = layers_on(artefacts, **_places(given), **own, threads=given["threads"])
    if as_json:
        rows = {
            name: [layer.document() for layer in layers]
            for name, layers in layers_by_artefact.items()
        }
        console.print_json(rows)
        return
    for name, layers in layers_by_artefact.items():
        console.stdout().print(f"{name}: {sum(layer.ms for layer in layers):.3f} ms in its layers")
        console.stdout().print(_layer_table(layers))
        console.stdout().print()


def _layer_table(layers: list[LayerTime]) -> object:
    whole = sum(layer.ms for layer in layers) or 1.0
    rows = [
        (layer.name, layer.kind, layer.kernel, f"{layer.ms:.4f}", f"{100 * layer.ms / whole:.1f}")
        for layer in layers
    ]
    return console.table(["layer", "operator", "kernel", ">median ms", ">%"], rows)
