"""Run a pipeline over a model, with the instruments that the caller asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from lprc.compiler.cache.store import Store
from lprc.compiler.measure.pass_costs import CostSettings, PassCost, PassCosts
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.print_changes import PrintChanges, Printing
from lprc.core.instruments.progress import Progress
from lprc.core.instruments.snapshots import Snapshots, check_folder
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import load, save
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassManager, PassRecord
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.result_memory import PassMemory
from lprc.core.running.numerics import Arrays, OutputDelta

VerifyMode = Literal["off", "final", "each"]
Report = Callable[[float, int], None]


@dataclass(frozen=True)
class Settings:
    """How to run a pipeline.

    Attributes:
        verify: When graphs are run and compared: never, once at the end, after each change.
        inputs: Real inputs to verify with; None makes random ones from `seed`.
        calibration: Samples for data-driven passes.
        seed: Of the random inputs.
        dump_dir: Where to write the model after each change; None for nowhere.
        reproducer: Where to write the evidence of a broken promise; None for nowhere.
        check_passes: Whether to check that passes say truthfully whether they changed something.
        progress: Called with the passes done and their number.
        printing: What to print around passes; None for nothing.
        costs: What to find out of each pass besides.
        cache: Where to look for what passes and emitters did before; None runs them all.
        instruments: What else to do around passes.
    """

    verify: VerifyMode = "final"
    inputs: Sequence[Arrays] | None = None
    calibration: Sequence[Arrays] = ()
    seed: int = 0
    dump_dir: Path | None = None
    reproducer: Path | None = None
    check_passes: bool = False
    progress: Report | None = None
    printing: Printing | None = None
    costs: CostSettings = field(default_factory=CostSettings)
    cache: Store | None = None
    instruments: Sequence[Instrument] = ()


@dataclass(frozen=True)
class Optimized:
    """What a pipeline did.

    Attributes:
        pipeline: Its canonical text.
        verify: When outputs were compared.
        records: What each pass did.
        deltas: How far outputs moved, by the position of the pass after which they were compared.
        warnings: What could not be verified, or measured.
        costs: What `Settings.costs` asks for: the source's row, then one for each pass.
    """

    pipeline: str
    verify: VerifyMode
    records: list[PassRecord]
    deltas: dict[int, list[OutputDelta]]
    warnings: list[str] = field(default_factory=list)
    costs: list[PassCost] = field(default_factory=list)


def optimize(model: ir.Model, pipeline: Pipeline, settings: Settings | None = None) -> Optimized:
    """Rewrite `model` in place.

    Raises:
        PromiseBrokenError: A pass changed the outputs by more than it promised.
    """
    settings = settings or Settings()
    verify = (
        None
        if settings.verify == "off"
        else Verify(
            settings.verify,
            inputs=settings.inputs,
            seed=settings.seed,
            reproducer=settings.reproducer,
        )
    )
    costs = PassCosts(settings.costs)
    manager = PassManager(
        pipeline,
        costs.around(_instruments(settings, verify)),
        calibration=settings.calibration,
        memory=_memory(settings),
    )
    records = manager.run(model)
    return Optimized(
        pipeline=str(pipeline),
        verify=settings.verify,
        records=records,
        deltas=verify.deltas if verify is not None else {},
        warnings=[*(verify.warnings if verify is not None else []), *costs.warnings],
        costs=costs.rows(records, verify),
    )


def optimize_file(
    source: Path, pipeline_text: str, out: Path, settings: Settings | None = None
) -> Optimized:
    """Read `source`, run the pipeline and write `out`.

    Raises:
        LprcError: As of `model_io.load`, `Pipeline.parse`, `optimize` and `model_io.save`.
    """
    pipeline = Pipeline.parse(pipeline_text)
    if settings is not None:
        check_folder(settings.dump_dir, out)
    model = load(source)
    result = optimize(model, pipeline, settings)
    save(model, out)
    return result


def _memory(settings: Settings) -> PassMemory | None:
    """What remembers passes; none where every pass has to be seen at work."""
    if settings.cache is None or settings.check_passes:
        return None
    from lprc.compiler.cache.cached_passes import StoredPasses  # which needs `Settings`

    return StoredPasses(settings.cache)


def _instruments(settings: Settings, verify: Verify | None) -> list[Instrument]:
    found: list[Instrument] = []
    if settings.check_passes:
        found.append(ChangeDetection())
    if settings.dump_dir is not None:
        found.append(Snapshots(settings.dump_dir))
    if settings.printing is not None:
        found.append(PrintChanges(settings.printing))
    found += settings.instruments
    if verify is not None:
        found.append(verify)
    if settings.progress is not None:
        found.append(Progress(settings.progress))
    return found
