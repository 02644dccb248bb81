"""``lprc doctor``: what this machine is, and what of lprc works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option, threads_option
from lprc.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from lprc.compiler.doctor.examination import Examination
    from lprc.compiler.doctor.trials import TargetTrial


@click.command("doctor")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    help="Whether this target works here; exit code 7 where it does not. Repeatable.",
)
@click.option("--quick", is_flag=True, help="Look at what is installed; compile nothing.")
@click.option(
    "--noise/--no-noise",
    "measure_noise",
    default=None,
    help="Measure for ten seconds which differences of latency can be told apart.  "
    "[default: without --quick and --target]",
)
@threads_option
@json_option
@debug_option
def command(
    targets: tuple[str, ...],
    quick: bool,
    measure_noise: bool | None,
    threads: int | None,
    as_json: bool,
) -> int:
    """Show what this machine is and what of lprc works on it, by trying."""
    from lprc.cli.progress import reporter
    from lprc.compiler.doctor.examination import examine

    if measure_noise is None:
        measure_noise = not quick and not targets
    with reporter("examining", quiet=as_json) as progress:
        examination = examine(
            targets,
            quick=quick,
            measure_noise=measure_noise,
            threads=threads,
            progress=progress,
        )
    if as_json:
        console.print_json(examination.document())
    else:
        console.stdout().print(console.facts(_machine_facts(examination)))
        console.stdout().print()
        console.stdout().print(_runtime_table(examination))
        console.stdout().print()
        console.stdout().print(_target_table(examination.targets))
    failing = [trial for trial in examination.targets if not trial.works]
    return MissingDependencyError.exit_code if targets and failing else 0


def _machine_facts(examination: Examination) -> list[tuple[str, str]]:
    cpu, limits, cache = examination.processor, examination.limits, examination.cache
    cores = f"{cpu.usable_cores} of {cpu.cores}"
    if limits.cores is not None:
        cores += f", of which the control group gives the time of {limits.cores:g}"
    memory = _gibibytes(limits.machine_memory_bytes)
    if limits.memory_bytes is not None:
        memory += f", of which the control group gives {_gibibytes(limits.memory_bytes)}"
    rows = [
        ("processor", f"{cpu.model} ({cpu.architecture})".strip()),
        ("features", ", ".join(cpu.features) or "none that kernels are chosen by"),
        ("cores", f"{cores}; load {cpu.load:.1f}"),
        ("threads", _variables(cpu.thread_variables)),
        ("clock", _clock(examination)),
        ("memory", memory),
        *_noise_facts(examination),
        ("cache", f"{cache.folder}{'' if cache.used else ' (switched off)'}"),
        ("", _cache_text(examination)),
    ]
    for place in examination.data:
        count = "no such folder" if place.images is None else f"{place.images} images"
        rows.append((f"data: {place.name}", f"{place.folder}: {count}"))
    return rows


def _variables(variables: dict[str, str]) -> str:
    listed = ", ".join(f"{name}={value}" for name, value in variables.items())
    return listed or "not limited by the environment"


def _clock(examination: Examination) -> str:
    cpu = examination.processor
    governor = ", ".join(cpu.governors) or "governor not visible"
    turbo = {None: "", True: "; turbo", False: "; no turbo"}[cpu.turbo]
    return f"{governor}{turbo}"


def _noise_facts(examination: Examination) -> list[tuple[str, str]]:
    noise = examination.noise
    if noise is None:
        return []
    low, high = noise.interval
    rounds = noise.rounds_for_a_hundredth
    hundredth = "no number of rounds tells 1 % apart: try again when it is quiet"
    if rounds is not None:
        hundredth = f"1 % takes --rounds {rounds}"
    return [
        ("noise", f"p95 is {noise.spread:.2f} × the median of {noise.median_ms:.3f} ms"),
        ("", f"a model beside itself: {noise.ratio:.3f} ({low:.3f} to {high:.3f})"),
        ("", f"200 rounds of `lprc bench` tell {100 * noise.resolution:.1f} % apart"),
        ("", hundredth),
    ]


def _cache_text(examination: Examination) -> str:
    cache = examination.cache
    limit = console.size_text(cache.limit_bytes)
    sizes = f"{console.size_text(cache.size_bytes)} of at most {limit}"
    return sizes if cache.writable else f"{sizes}; it can't be written"


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _runtime_table(examination: Examination) -> object:
    rows = [
        (
            name,
            ", ".join(f"{package} {number}" for package, number in versions.items()),
            examination.obstacles[name] or "yes",
        )
        for name, versions in examination.runtimes.items()
    ]
    return console.table(["runtime", "version", "runs here"], rows)


def _target_table(trials: tuple[TargetTrial, ...]) -> object:
    rows = [
        (
            trial.target,
            "yes" if trial.builds else "no",
            "yes" if trial.runs else "no",
            f"{trial.why}{f' ({trial.remedy})' if trial.remedy else ''}",
        )
        for trial in trials
    ]
    how = "" if all(trial.tried for trial in trials) else " (not tried)"
    return console.table(["target", f"builds{how}", "runs", "what is in the way"], rows)
