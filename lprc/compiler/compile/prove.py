"""The rewrites that made an artefact, made again and proved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lprc.compiler.artifact.made_from import check_calibration, check_source
from lprc.compiler.artifact.manifest_file import read_manifest
from lprc.compiler.compile.input_shapes import InputShapes
from lprc.compiler.compile.samples import Samples, execution_of
from lprc.compiler.compile.settings import Report
from lprc.core.errors import PromiseBrokenError
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.pipeline import Pipeline
from lprc.core.proof.rewrites import Proof, prove_pipeline
from lprc.core.proof.solver import require_z3
from lprc.core.running.size_search import made_up_inputs
from lprc.core.tasks.task_file import task_choice


def prove_artefact(
    folder: Path,
    source: Path,
    calibration: Samples | None = None,
    *,
    inputs: Samples | None = None,
    task: str | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    progress: Report | None = None,
) -> Proof:
    """Run the pipeline of the manifest in `folder` on `source` and prove its small rewrites.

    Args:
        folder: The artefact's; only its manifest is looked at.
        source: The model that it was made from.
        calibration: The samples that it was made with.
        inputs: Arrays whose shapes the proofs are to hold for; None takes `input_shapes`, `dims`,
            and what is found for the sizes that those leave open.
        task: How images are preprocessed; as of `compile_request`.
        input_shapes: Shapes of inputs, by name.
        dims: Sizes of symbolic dimensions, by symbol.
        progress: Called with the passes done and their number.

    Raises:
        MissingDependencyError: Z3 is not installed.
        InvalidModelError: `source` is another model than the manifest's.
        DataError: `calibration` is not the manifest's.
        UnrunnableError: No sizes were found that the source runs with.
        LprcError: As of `execution_of`, or a pass can't work on its graph.
    """
    require_z3()
    manifest = read_manifest(folder)
    model = load(source)
    check_source(manifest, source, model, folder)
    execution = execution_of(
        model,
        str(source),
        calibration=calibration,
        inputs=inputs,
        input_shapes=input_shapes,
        dims=dims,
        task=task_choice(task),
    )
    check_calibration(manifest, execution.calibration, folder)
    if inputs is not None and execution.inputs:
        arrays = execution.inputs[0]
    else:
        arrays = made_up_inputs(model, seed=manifest["build"]["seed"], sizes=execution.sizes)
    return prove_pipeline(
        model,
        Pipeline.parse(manifest["pipeline"]),
        {name: array.shape for name, array in arrays.items()},
        calibration=execution.calibration,
        progress=progress,
    )


def require_not_refuted(proof: Proof, folder: Path) -> None:
    """Refuse rewrites that compute something else.

    Raises:
        PromiseBrokenError: Naming the first.
    """
    refuted = [judged for judged in proof.judged if judged.verdict.state == "refuted"]
    if not refuted:
        return
    first = refuted[0]
    more = f" (and {len(refuted) - 1} more)" if len(refuted) > 1 else ""
    raise PromiseBrokenError(
        f"the rewrite of node '{first.rewrite.node}' is refuted: {first.verdict.reason}{more}",
        where=f"{folder}: pass '{first.pass_text}'",
        hint="--json has the input that shows it",
        node=first.rewrite.node,
        pass_name=first.pass_text.partition("{")[0],
        path=folder,
    )
