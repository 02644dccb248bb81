"""Run a pipeline over a model, with the instruments that the caller asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.artifact.manifest import skip_counts
from lprc.compiler.cache.snapshot import UnreadableEntryError
from lprc.compiler.compile.input_shapes import InputShapes, fixing
from lprc.compiler.compile.samples import Samples, execution_of
from lprc.compiler.compile.settings import Execution, Memory, Observation, VerifyMode
from lprc.compiler.compile.source_runs import unverified
from lprc.compiler.measure.pass_costs import PassCost, PassCosts
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.print_changes import PrintChanges
from lprc.core.instruments.progress import Progress
from lprc.core.instruments.snapshots import Snapshots, check_folder
from lprc.core.instruments.verify import Verify
from lprc.core.notebook import html_table
from lprc.core.onnx_io.model_io import load, save
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager, PassRecord
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.translation import Translations
from lprc.core.quantization.recognise import quantized_form
from lprc.core.running.input_sizes import HOW_TO_GIVE, InputSizes, size_texts
from lprc.core.running.numerics import OutputDelta
from lprc.core.tasks.task_file import task_choice


@dataclass(frozen=True)
class Optimized:
    """What a pipeline did.

    Attributes:
        pipeline: Its canonical text.
        verify: When outputs were compared.
        records: What each pass did.
        deltas: How far outputs moved, by the position of the pass after which they were compared.
        warnings: What could not be verified, or measured.
        costs: What `Observation.costs` asks for: the source's row, then one for each pass.
        sizes: Of symbolic dimensions of the inputs: what was given, and what was found to run.
        translations: How inputs and outputs of the source become those of what it was made.
        agreement: How far outputs agree with the source's on real inputs, 0 to 1, as of
            `lprc.core.running.agreement`; None without real inputs, or where nothing was compared.
    """

    pipeline: str
    verify: VerifyMode
    records: list[PassRecord]
    deltas: dict[int, list[OutputDelta]]
    warnings: list[str] = field(default_factory=list)
    costs: list[PassCost] = field(default_factory=list)
    sizes: InputSizes = field(default_factory=dict)
    translations: Translations = field(default_factory=lambda: Translations(()))
    agreement: float | None = None

    def _repr_html_(self) -> str:
        """What a notebook shows: the passes that changed something or left something alone."""
        cells = [
            (
                record.text,
                str(record.contract),
                str(len(record.rewrites)),
                f"{1e3 * record.seconds:.1f}",
                "; ".join(f"{n} × {reason}" for reason, n in skip_counts(record).items()),
            )
            for record in self.records
            if record.changed or record.skips
        ]
        idle = sum(not record.changed for record in self.records)
        columns = ("pass", "contract", ">rewrites", ">ms", "left alone")
        note = f"{idle} of {len(self.records)} passes changed nothing"
        return html_table("what each pass did", columns, cells, note)


def optimize(
    model: ir.Model,
    pipeline: Pipeline,
    execution: Execution | None = None,
    observation: Observation | None = None,
    memory: Memory | None = None,
) -> Optimized:
    """Rewrite `model` in place.

    Args:
        model: The graph.
        pipeline: The passes.
        execution: What they run on, and when graphs are compared.
        observation: What to look at meanwhile.
        memory: What earlier runs did; such passes need not run again.

    Raises:
        PromiseBrokenError: A pass changed the outputs by more than it promised.
        UnrunnableError: ONNX Runtime loads the source and fails on its inputs, and on every graph
            that the passes make.
    """
    execution, observation = execution or Execution(), observation or Observation()
    verify = _verification(execution, observation)
    costs = PassCosts(observation.costs.at_sizes(execution.measured_sizes))
    manager = PassManager(
        pipeline,
        costs.around(_instruments(observation, verify)),
        calibration=execution.calibration,
        memory=(memory or Memory()).of_passes(observation),
    )
    records = manager.run(model)
    if verify is not None and verify.failure is not None:
        raise unverified(verify.failure, execution)
    parts = [record.translation for record in records if record.translation is not None]
    sizes = {} if parts else execution.sizes
    # Made-up inputs say nothing of what a network decides.
    agreement = verify.agreement if verify is not None and execution.inputs else None
    return Optimized(
        pipeline=str(pipeline),
        verify=execution.verify,
        records=records,
        deltas=verify.deltas if verify is not None else {},
        warnings=[
            *_warnings(verify),
            *_poor_quantization(model, execution, verify),
            *_disagreement(agreement, records),
            *costs.warnings,
        ],
        costs=costs.rows(records, verify),
        sizes=verify.sizes if verify is not None else sizes,
        translations=Translations(parts),
        agreement=agreement,
    )


LOW_DECIBELS = 12.0
"""Below this a quarter of an output is noise, on inputs that were not calibrated with even more."""


def _poor_quantization(model: ir.Model, execution: Execution, verify: Verify | None) -> list[str]:
    """A warning where quantising lost most of an output; made-up inputs say nothing about that."""
    if verify is None or not execution.inputs or quantized_form(model) is None:
        return []
    name, decibels = verify.noisiest
    if decibels >= LOW_DECIBELS:
        return []
    return [
        f"quantised far from the source: output '{name}' has {decibels:.1f} dB on these inputs; "
        "leave sensitive layers in float (--max-accuracy-drop finds them), "
        "or calibrate with more and truer samples"
    ]


MOST_DISAGREEMENT = 0.01
"""How much less than 1 the agreement with the source may be without a warning."""


def _disagreement(agreement: float | None, records: list[PassRecord]) -> list[str]:
    """A warning where lossy passes changed what the network decides, named, with what to do."""
    lossy = [record for record in records if record.changed and record.contract.kind == "lossy"]
    if agreement is None or not lossy or agreement >= 1 - MOST_DISAGREEMENT:
        return []
    names = ", ".join(dict.fromkeys(record.name for record in lossy))
    return [
        f"agreement with the source is {agreement:.4f} behind {names}, on samples that were fitted "
        "to: --data with labels measures what is lost, `lprc finetune` with the source as "
        "--teacher repairs it"
    ]


def _warnings(verify: Verify | None) -> list[str]:
    if verify is None:
        return []
    warnings = [*verify.warnings, *verify.remarks]
    if not verify.invented:
        return warnings
    sizes = size_texts(verify.invented)
    return [f"verified at sizes that were made up, {sizes}: {HOW_TO_GIVE}", *warnings]


def optimize_file(
    source: Path,
    pipeline_text: str,
    out: Path,
    *,
    calibration: Samples | None = None,
    task: str | None = None,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    verify: VerifyMode = "final",
    seed: int = 0,
    observation: Observation | None = None,
    memory: Memory | None = None,
) -> Optimized:
    """Read `source`, run the pipeline and write `out`.

    Args:
        source: An ONNX file.
        pipeline_text: The passes.
        out: The ONNX file to write.
        calibration: Samples for data-driven passes, or a folder of images.
        task: How such images are preprocessed; as of `compile_request`.
        inputs: As of `execution_of`.
        input_shapes: Shapes of inputs that are fixed in the graph.
        dims: Sizes of symbolic dimensions to verify with, by symbol.
        verify: As of `Execution`.
        seed: As of `Execution`.
        observation: As of `optimize`.
        memory: As of `optimize`.

    Raises:
        LprcError: As of `model_io.load`, `Pipeline.parse`, `optimize` and `model_io.save`.
    """
    pipeline = Pipeline.parse(pipeline_text)
    if observation is not None:
        check_folder(observation.dump_dir, out)
    model = load(source)
    execution = execution_of(
        model,
        str(source),
        calibration=calibration,
        inputs=inputs,
        input_shapes=input_shapes,
        dims=dims,
        task=task_choice(task),
        verify=verify,
        seed=seed,
    )
    pipeline = fixing(execution.shapes, pipeline)
    try:
        result = optimize(model, pipeline, execution, observation, memory)
    except UnreadableEntryError as error:
        model, memory = load(source), (memory or Memory()).distrusted(error)
        result = optimize(model, pipeline, execution, observation, memory)
    save(model, out)
    return result


def _verification(execution: Execution, observation: Observation) -> Verify | None:
    if execution.verify == "off":
        return None
    return Verify(
        execution.verify,
        inputs=execution.inputs,
        seed=execution.seed,
        sizes=execution.sizes,
        reproducer=observation.reproducer,
    )


def _instruments(observation: Observation, verify: Verify | None) -> list[Instrument]:
    instruments: list[Instrument] = []
    if observation.check_passes:
        instruments.append(ChangeDetection())
    if observation.dump_dir is not None:
        instruments.append(Snapshots(observation.dump_dir))
    if observation.printing is not None:
        instruments.append(PrintChanges(observation.printing))
    instruments += observation.instruments
    if verify is not None:
        instruments.append(verify)
    if observation.progress is not None:
        instruments.append(Progress(observation.progress))
    return instruments
