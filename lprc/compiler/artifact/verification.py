"""Whether an artefact is still what its manifest says, and computes what it should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import onnx_ir as ir

from lprc.compiler.artifact.artifact import LOWERED, open_artifact
from lprc.compiler.artifact.faithfulness import unexplained
from lprc.compiler.artifact.manifest_file import FILE, read_manifest
from lprc.core.errors import InvalidModelError, PromiseBrokenError
from lprc.core.files.digest import sha256
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.interface import translations_of
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.translation import TranslatedRuns
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays, OutputDelta, Session, compare, dynamic_step, rounding
from lprc.core.running.runner import Runs
from lprc.core.running.size_search import inputs_of_both
from lprc.core.targets.target import target as find_target

State = Literal["ok", "altered", "missing", "unlisted"]


@dataclass(frozen=True)
class FileCheck:
    """One file of an artefact's folder, and how it is against the manifest."""

    name: str
    state: State


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        path: The artefact's folder.
        files: Its files, by name.
        outputs: How far the artefact's outputs are from the lowered graph's; empty unless asked.
        source_outputs: How far they are from the source model's: to look at, not judged, because a
            pipeline may be lossy.
    """

    path: Path
    files: tuple[FileCheck, ...]
    outputs: list[OutputDelta] = field(default_factory=list)
    source_outputs: list[OutputDelta] = field(default_factory=list)

    @property
    def broken(self) -> list[FileCheck]:
        """The files that are not as they were written."""
        return [each for each in self.files if each.state != "ok"]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        from lprc.compiler.artifact.manifest import delta_document

        return {
            "artefact": str(self.path),
            "ok": not self.broken,
            "files": {file.name: file.state for file in self.files},
            "outputs": [delta_document(delta) for delta in self.outputs],
            "source_outputs": [delta_document(delta) for delta in self.source_outputs],
        }


def artefact_folder(path: Path) -> Path:
    """The folder of an artefact that is named by itself or by its manifest."""
    return path.parent if path.name == FILE and path.is_file() else path


def check_files(folder: Path) -> Verification:
    """Compare the folder's files with the manifest's hashes.

    Raises:
        InvalidModelError: No artefact, or a manifest that can't be read. Files that differ are in
            the result; `require_whole` raises for them.
    """
    listed: Mapping[str, Mapping[str, Any]] = read_manifest(folder)["files"]
    present = {path.name for path in folder.iterdir()} - {FILE}
    checks = [FileCheck(name, _state(folder / name, listed[name])) for name in listed]
    checks += [FileCheck(name, "unlisted") for name in present - set(listed)]
    return Verification(folder, tuple(sorted(checks, key=lambda check: check.name)))


def _state(path: Path, listed: Mapping[str, Any]) -> State:
    if not path.is_file():
        return "missing"
    try:
        # The size first: a file of another one need not be read.
        same = path.stat().st_size == listed["bytes"] and sha256(path) == listed["sha256"]
    except OSError as error:
        raise InvalidModelError(
            f"can't be read: {error.strerror}", where=str(path), path=path
        ) from error
    return "ok" if same else "altered"


def require_whole(verification: Verification) -> None:
    """Refuse an artefact with files that are missing, altered or not listed.

    Raises:
        InvalidModelError: Naming them.
    """
    if verification.broken:
        names = ", ".join(f"'{file.name}' is {file.state}" for file in verification.broken)
        raise InvalidModelError(
            names,
            where=str(verification.path),
            hint="compile it again, or copy it again from where it was compiled",
            path=verification.path / verification.broken[0].name,
        )


def check_outputs(
    folder: Path,
    inputs: Sequence[Arrays] | None = None,
    *,
    sizes: InputSizes | None = None,
    source: Path | None = None,
) -> tuple[list[OutputDelta], list[OutputDelta]]:
    """Run the artefact in its runtime and the lowered graph in ONNX Runtime, and compare.

    Args:
        folder: The artefact's.
        inputs: Sets of inputs; None makes random ones from the manifest's seed.
        sizes: Of symbolic dimensions of random ones; those that are not known are searched for.
        source: The model that it was made from, to compare with too.

    Returns:
        How far its outputs are from the lowered graph's, and from the source model's.

    Raises:
        PromiseBrokenError: Farther from the lowered graph's than the target allows; of a quantised
            one whose `source` is given, farther from that than the lowered graph is, too.
        UnrunnableError: No sizes were found that the lowered graph and the artefact run with.
        LprcError: The artefact does not run here.
    """
    manifest = read_manifest(folder)
    lowered = load(folder / LOWERED)
    goal = find_target(manifest["target"])
    tolerance = max(goal.tolerance, rounding(lowered), dynamic_step(lowered))
    runner = open_artifact(folder).runner()
    reference, seed = Session(lowered), manifest["build"]["seed"]
    samples = inputs or [inputs_of_both(lowered, reference, runner, seed=seed, sizes=sizes)]
    outputs = [runner.run(sample) for sample in samples]
    wanted = list(_outputs(reference, samples))
    deltas = list(_worst(wanted, outputs))
    original = None if source is None else _as_lowered(load(source), manifest)
    bad, _ = unexplained(
        [delta for delta in deltas if not delta.within(tolerance)],
        list(zip(samples, wanted, outputs, strict=True)),
        tolerance,
        lowered=lowered,
        reference=reference,
        source=None if original is None else (lambda: original),
    )
    if bad:
        raise PromiseBrokenError(
            f"its outputs are not the lowered graph's: {'; '.join(map(str, bad[:3]))}",
            where=str(folder),
            hint="is its runtime the version that the manifest names under 'tools'? "
            "An int8 artefact may differ and be as near to float: --source MODEL judges by that",
            path=folder,
        )
    if original is None:
        return deltas, []
    return deltas, list(_worst(_outputs(original, samples), outputs))


def _as_lowered(source: ir.Model, manifest: Mapping[str, Any]) -> Runs:
    """The source, run as if it took and put out what the lowered graph does.

    Raises:
        LprcError: A pass of the pipeline is not installed, or one that changes the interface can't
            be applied to the source.
    """
    pipeline = Pipeline.parse(manifest["pipeline"])
    return TranslatedRuns(Session(source), translations_of(source, pipeline))


def _outputs(session: Runs, samples: Iterable[Arrays]) -> Iterator[dict[str, Any]]:
    for sample in samples:
        yield session.run(sample)


def _worst(wanted: Iterable[Arrays], actual: Iterable[Arrays]) -> Iterator[OutputDelta]:
    """Each output's largest difference over the sets of inputs."""
    worst: dict[str, OutputDelta] = {}
    for before, after in zip(wanted, actual, strict=True):
        for delta in compare(before, after):
            worst_yet = worst.get(delta.name)
            if worst_yet is None or (delta.mismatch is not None, delta.relative) > (
                worst_yet.mismatch is not None,
                worst_yet.relative,
            ):
                worst[delta.name] = delta
    yield from worst.values()
