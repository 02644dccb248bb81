"""Build an artefact again from its manifest, and compare."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.artifact.artifact import LOWERED
from lprc.compiler.artifact.made_from import check_calibration, check_source
from lprc.compiler.artifact.manifest_file import read_manifest
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.samples import Samples
from lprc.compiler.compile.settings import Report
from lprc.core.errors import PromiseBrokenError
from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class ToolChange:
    """A package in another version than at the first build; None where it was or is not there."""

    name: str
    then: str | None
    now: str | None

    def __str__(self) -> str:
        """For instance ``onnx 1.18.0, now 1.19.0``."""
        return f"{self.name} {self.then or 'not installed'}, now {self.now or 'not installed'}"


@dataclass(frozen=True)
class Reproduction:
    """What building again gave.

    Attributes:
        lowered_same: Whether the lowered ONNX has the same bytes.
        files_same: The same of each deployed file; vendor tools need not be reproducible.
        tools: Packages in other versions.
        outputs_checked: Whether the new artefact was run beside its lowered graph: one whose
            emitter gave other bytes still computes the same then.
    """

    lowered_same: bool
    files_same: dict[str, bool]
    tools: tuple[ToolChange, ...]
    outputs_checked: bool

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "lowered_same": self.lowered_same,
            "files_same": self.files_same,
            "tools": [vars(tool) for tool in self.tools],
            "outputs_checked": self.outputs_checked,
        }


def reproduce(
    folder: Path,
    source: Path,
    calibration: Samples | None = None,
    *,
    inputs: Sequence[Arrays] | None = None,
    task: str | None = None,
    progress: Report | None = None,
) -> Reproduction:
    """Build again what the manifest in `folder` describes, elsewhere, and compare.

    Args:
        folder: The artefact's; only its manifest is looked at.
        source: The model that it was made from.
        calibration: The samples that it was made with.
        inputs: To verify with; None takes the first of `calibration`, or random ones from
            the manifest's seed.
        task: How images are preprocessed; as of `compile_request`.
        progress: Called with the steps done and their number.

    Raises:
        InvalidModelError: `source` is another model than the manifest's.
        DataError: `calibration` is not the manifest's.
        LprcError: As of `compile_request` and `compile_model`.
    """
    manifest = read_manifest(folder)
    build = manifest["build"]
    with tempfile.TemporaryDirectory(prefix="lprc-reproduce-") as scratch:
        again = Path(scratch) / "artefact"
        request = compile_request(
            source,
            manifest["target"],
            again,
            passes=manifest["pipeline"],
            emit=build["emit"],
            options={key: tuple(texts) for key, texts in manifest["options"].items()},
            calibration=calibration,
            inputs=inputs,
            task=task,
            verify=build["verify"],
            seed=build["seed"],
            quantized="keep",  # the pipeline is the one that was run: what to leave out is out
            progress=progress,
        )
        check_source(manifest, source, request.model, folder)
        check_calibration(manifest, request.execution.calibration, folder)
        compiled = compile_model(request)
        new = read_manifest(again)
        same = {
            name: new["files"].get(name, {}).get("sha256") == listed["sha256"]
            for name, listed in manifest["files"].items()
        }
        return Reproduction(
            lowered_same=same.get(LOWERED, False),
            files_same={name: same[name] for name in manifest["deployed"]},
            tools=tuple(_tool_changes(manifest, new)),
            outputs_checked=bool(compiled.deltas),
        )


def require_same(reproduction: Reproduction, folder: Path) -> None:
    """Refuse a lowered graph that came out differently.

    Raises:
        PromiseBrokenError: It did; with the packages that have changed.
    """
    if reproduction.lowered_same:
        return
    changed = "; ".join(map(str, reproduction.tools))
    raise PromiseBrokenError(
        f"building it again gives another {LOWERED}",
        where=str(folder),
        hint=f"install what it was built with: {changed}" if changed else "report this",
        path=folder / LOWERED,
    )


def _tool_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[ToolChange]:
    then, now = ({"lprc": build["lprc"], **build["tools"]} for build in (old, new))
    return [
        ToolChange(name, then.get(name), now.get(name))
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
