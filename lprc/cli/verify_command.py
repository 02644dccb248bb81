"""``lprc verify``: an artefact against its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option, quiet_option, task_option
from lprc.cli.input_options import input_options
from lprc.cli.proof_table import print_proof

if TYPE_CHECKING:
    from lprc.compiler.artifact.verification import Verification
    from lprc.compiler.compile.reproduce import Reproduction
    from lprc.compiler.compile.settings import Execution
    from lprc.core.proof.rewrites import Proof


@click.command("verify")
@click.argument("artefact", type=PathArgument)
@click.option(
    "--numerics", is_flag=True, help="Run it beside its lowered graph and compare outputs."
)
@input_options(fixed=False)
@click.option(
    "--reproduce", "again", is_flag=True, help="Build it again from --source and compare bytes."
)
@click.option(
    "--prove", "proving", is_flag=True, help="Prove the small rewrites between --source and it."
)
@click.option("--source", type=PathArgument, help="The model that it was made from.")
@click.option(
    "--calib", type=PathArgument, help="What it was calibrated with; --numerics runs it on that."
)
@task_option
@json_option
@quiet_option
@debug_option
def command(
    artefact: Path,
    numerics: bool,
    inputs: Path | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    again: bool,
    proving: bool,
    source: Path | None,
    calib: Path | None,
    task: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check the files of ARTEFACT (a folder of `compile`, or its manifest.json) by their hashes.

    Exit codes: 3 for a file that is missing, altered or not listed, 5 for outputs or bytes that
    are not what the manifest promises, or a rewrite that is refuted.
    """
    from dataclasses import replace

    from lprc.compiler.artifact.verification import artefact_folder, check_files, check_outputs

    _check_options(
        numerics=numerics,
        run_on={"--inputs": inputs, "--input-shape": input_shapes, "--dim": dims},
        again=again,
        proving=proving,
        source=source,
        calib=calib,
    )
    folder = artefact_folder(artefact)
    verification = check_files(folder)
    if numerics and not verification.broken:
        run_on = _run_on(folder, inputs, calib, task, input_shapes, dims)
        outputs, source_outputs = check_outputs(
            folder, run_on.inputs, sizes=run_on.sizes, source=source
        )
        verification = replace(verification, outputs=outputs, source_outputs=source_outputs)
    reproduction = None
    if again and source is not None and not verification.broken:
        reproduction = _reproduce(folder, source, calib, task, quiet=quiet or as_json)
    proof = None
    if proving and source is not None and not verification.broken:
        sizes = (inputs, input_shapes, dims)
        proof = _prove(folder, source, calib, task, sizes, quiet=quiet or as_json)
    if as_json:
        document = {
            **verification.document(),
            "reproduction": reproduction.document() if reproduction else None,
            "proof": proof.document() if proof else None,
        }
        console.print_json(document)
    elif not quiet:
        _print(verification, reproduction)
        if proof is not None:
            print_proof(proof)
    _judge(verification, reproduction, proof)


def _run_on(
    folder: Path,
    inputs: Path | None,
    calib: Path | None,
    task: str | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
) -> Execution:
    """What to compare outputs on: samples, or random inputs of given sizes."""
    from lprc.compiler.artifact.artifact import LOWERED
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes
    from lprc.compiler.compile.samples import execution_of
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import task_choice

    lowered = folder / LOWERED
    return execution_of(
        load(lowered),
        str(lowered),
        calibration=calib,
        inputs=inputs,
        task=task_choice(task),
        input_shapes=parsed_shapes(input_shapes),
        dims=parsed_dims(dims),
    )


def _check_options(
    *,
    numerics: bool,
    run_on: Mapping[str, Path | tuple[str, ...] | None],
    again: bool,
    proving: bool,
    source: Path | None,
    calib: Path | None,
) -> None:
    """Refuse options that would be ignored.

    Raises:
        UsageError: Naming the one.
    """
    from lprc.core.errors import UsageError

    for option, wanted in {"--reproduce": again, "--prove": proving}.items():
        if wanted and source is None:
            raise UsageError("wants the model too", where=option, hint="--source MODEL")
    any_of_three, partners = again or numerics or proving, "--numerics, --reproduce or --prove"
    ignored = {
        **{
            option: (bool(given) and not (numerics or proving), "--numerics or --prove")
            for option, given in run_on.items()
        },
        "--source": (source is not None and not any_of_three, partners),
        "--calib": (calib is not None and not any_of_three, partners),
    }
    for option, (unused, partner) in ignored.items():
        if unused:
            raise UsageError(f"goes with {partner}", where=option, option=option)


def _reproduce(
    folder: Path, source: Path, calib: Path | None, task: str | None, *, quiet: bool
) -> Reproduction:
    from lprc.cli.progress import reporter
    from lprc.compiler.compile.reproduce import reproduce

    with reporter("building it again", quiet=quiet) as progress:
        return reproduce(folder, source, calib, task=task, progress=progress)


def _prove(
    folder: Path,
    source: Path,
    calib: Path | None,
    task: str | None,
    sizes: tuple[Path | None, tuple[str, ...], tuple[str, ...]],
    *,
    quiet: bool,
) -> Proof:
    from lprc.cli.progress import reporter
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes
    from lprc.compiler.compile.prove import prove_artefact

    inputs, input_shapes, dims = sizes
    with reporter("proving its rewrites", quiet=quiet) as progress:
        return prove_artefact(
            folder,
            source,
            calib,
            inputs=inputs,
            task=task,
            input_shapes=parsed_shapes(input_shapes),
            dims=parsed_dims(dims),
            progress=progress,
        )


def _judge(
    verification: Verification, reproduction: Reproduction | None, proof: Proof | None = None
) -> None:
    from lprc.compiler.artifact.verification import require_whole

    require_whole(verification)
    if reproduction is not None:
        from lprc.compiler.compile.reproduce import require_same

        require_same(reproduction, verification.path)
    if proof is not None:
        from lprc.compiler.compile.prove import require_not_refuted

        require_not_refuted(proof, verification.path)


def _print(verification: Verification, reproduction: Reproduction | None) -> None:
    rows: list[tuple[str, str]] = [(file.name, file.state) for file in verification.files]
    rows += [
        (f"output {delta.name}", _distance(delta, "the lowered graph"))
        for delta in verification.outputs
    ]
    rows += [
        (f"output {delta.name}", _distance(delta, "the source"))
        for delta in verification.source_outputs
    ]
    if reproduction is not None:
        rows.append(("lowered.onnx built again", _sameness(reproduction.lowered_same)))
        rows += [
            (f"{name} built again", _sameness(same))
            for name, same in reproduction.files_same.items()
        ]
        rows += [("other version", str(tool)) for tool in reproduction.tools]
    console.stdout().print(console.table(["", ""], rows))


def _distance(delta: Any, of: str) -> str:
    return f"{delta.mismatch or f'within {delta.max_abs:.2g}'} of {of}"


def _sameness(same: bool) -> str:
    return "same bytes" if same else "other bytes"
