"""What a search chooses from: targets that work here, their knobs, and how layers rank."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lprc._version import __version__
from lprc.compiler.artifact.build_inputs import samples_sha256
from lprc.compiler.cache.surroundings import surroundings
from lprc.compiler.compile.emitters import obstacle, read_options, require
from lprc.compiler.measure.sensitivity import Quantizable, rank
from lprc.compiler.searching.candidate import knobs_of
from lprc.compiler.searching.evaluate import Evaluator
from lprc.compiler.searching.study import SURROUNDINGS
from lprc.core.builtin import TARGET_ALIASES
from lprc.core.errors import LprcError, UsageError
from lprc.core.files.digest import document_sha256, sha256
from lprc.core.files.toml_text import read_toml
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.pass_order import serves_quantization
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Arrays
from lprc.core.targets.search_space import Knob, SearchSpace, search_spaces
from lprc.core.targets.target import Target, target, target_names

DEFAULT_TARGETS = ("openvino-*", "ort-*", "tvm-*", "tensorrt-*")
"""Those that make artefacts of a runtime of their own."""


def chosen_targets(
    patterns: Sequence[str], *, calibrated: bool
) -> tuple[list[Target], dict[str, str]]:
    """The targets that fit a pattern and whose artefacts can be built and run here.

    Args:
        patterns: Of names or aliases; none for `DEFAULT_TARGETS`.
        calibrated: Whether there are samples to calibrate with.

    Returns:
        They, and why others that fit were left out, by name.

    Raises:
        UsageError: A pattern that no target fits, or no target is left.
    """
    names = [
        name
        for pattern in patterns or DEFAULT_TARGETS
        for name in _fitting(pattern, required=bool(patterns))
    ]
    goals: list[Target] = []
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(names):
        goal = target(name)
        why = _unusable(goal, calibrated=calibrated)
        if why is None:
            goals.append(goal)
        else:
            left_out[name] = why
    if not goals:
        said = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise UsageError(f"none of the targets works here: {said}", where="--targets")
    return goals, left_out


def promising_first(goals: Sequence[Target]) -> list[Target]:
    """The targets with the narrowest arithmetic first, and of equal ones each runtime in turn.

    A budget that does not pay for all of them has then seen those that are fast as a rule.
    """
    ranks: dict[tuple[int, str], int] = {}
    order: list[tuple[int, int, int]] = []
    for place, goal in enumerate(goals):
        bits = int(next(iter(re.findall(r"\d+", goal.precision)), "32"))
        rank = ranks.get((bits, goal.runtime), 0)
        ranks[bits, goal.runtime] = rank + 1
        order.append((bits, rank, place))
    return [goals[place] for _, _, place in sorted(order)]


def _fitting(pattern: str, *, required: bool) -> list[str]:
    aliases = {full: alias for alias, full in TARGET_ALIASES.items()}
    names = [
        name
        for name in target_names()
        if fnmatchcase(name, pattern) or fnmatchcase(aliases.get(name, name), pattern)
    ]
    if required and not names:
        raise UsageError(
            f"no target fits '{pattern}'", where="--targets", hint="`lprc targets` lists them"
        )
    return names


def _unusable(goal: Target, *, calibrated: bool) -> str | None:
    options = read_options(goal, {})
    try:
        require(goal, options, "engine")
    except LprcError as error:
        return error.message
    why = obstacle(goal, options)
    passes = Pipeline.parse(goal.pipeline).passes
    if why is None and not calibrated and any(_needs_samples(item) for item in passes):
        return "it needs samples to calibrate with (--calib)"
    return why


def _needs_samples(item: Any) -> bool:
    """Whether a pass calibrates and can't do without samples."""
    reads = item.reads_calibration and serves_quantization(item.states())
    return bool(reads and getattr(item, "needed", True))


def chosen_knobs(
    goals: Sequence[Target], given: Sequence[Path] = ()
) -> tuple[dict[str, list[Knob]], list[Knob]]:
    """The knobs of each target by its name, and all of them.

    Args:
        goals: The targets.
        given: TOML files of the user's; a knob replaces an earlier one of its name.

    Raises:
        UsageError: A file that can't be read.
    """
    spaces = search_spaces()
    for path in given:
        try:
            text = read_toml(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"can't be read: {error}", where=str(path)) from error
        spaces.append(SearchSpace.from_toml(text, where=str(path)))
    by_name = {knob.name: knob for space in spaces for knob in space.knobs}
    knobs = list(by_name.values())
    return {goal.name: knobs_of(goal, knobs) for goal in goals}, knobs


def request_document(
    evaluator: Evaluator, goals: Sequence[Target], knobs: Sequence[Knob], **more: Any
) -> dict[str, Any]:
    """What a study is about: it goes on only with the same, and is reused only where it was made.

    Args:
        evaluator: With model and data.
        goals: The targets.
        knobs: All.
        more: What else counts.
    """
    question = evaluator.question
    calibration = None
    if question.calibration is not None:
        calibration = samples_sha256(evaluator.calibration)
    spaces = [knob.model_dump(mode="json") for knob in knobs]
    document = {
        "lprc": __version__,
        "model": sha256(question.model),
        "data": evaluator.data_sha256,
        "calibration": calibration,
        "task": evaluator.task.name,
        "targets": [goal.name for goal in goals],
        "max_accuracy_drop": question.max_drop,
        "space": hashlib.sha256(json.dumps(spaces, sort_keys=True).encode()).hexdigest(),
        **more,
    }
    around = document_sha256(surroundings(None, sdks=True))
    return {"id": document_sha256(document)[:16], **document, SURROUNDINGS: around}


class Sensitivities:
    """Which layers suffer most from quantisation, found out once for each pipeline.

    Args:
        model: The source.
        samples: To calibrate and rank with.
        file: Where what was found is kept.
    """

    def __init__(self, model: Path, samples: Sequence[Arrays], file: Path) -> None:
        self._model, self._samples, self._file = model, samples, file
        self._ranked: dict[str, list[str]] = {}
        if file.is_file():
            self._ranked = json.loads(file.read_text(encoding="utf-8"))

    def ranking(self, pipeline: Pipeline) -> list[str]:
        """The layers that a pipeline quantises, the most sensitive first.

        Raises:
            UsageError: It quantises none, or none can stay in float.
        """
        key = str(pipeline)
        if key not in self._ranked:
            graph = Quantizable(load(self._model), pipeline, self._samples)
            self._ranked[key] = [layer.node for layer in rank(graph, self._samples)]
            self._file.write_text(json.dumps(self._ranked, indent=2), encoding="utf-8")
        return self._ranked[key]
