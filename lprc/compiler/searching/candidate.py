"""What a search tries: a target with a pipeline and options, made from the settings of knobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lprc.compiler.sweeping.pipeline_template import inserted
from lprc.core.errors import UsageError
from lprc.core.files.digest import document_sha256
from lprc.core.options import from_texts, option_texts
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_order import quantizes
from lprc.core.passing.pipeline import Pipeline, parse_options
from lprc.core.quantization.quantizer import excluding, quantizer_index
from lprc.core.targets.search_space import SCHEME, Knob, filled
from lprc.core.targets.target import Target

OFF = "off"
"""The value of a knob that leaves all as the target has it."""

Settings = Mapping[str, Mapping[str, str]]
"""For each knob that is not off the values by name."""

Ranking = Callable[[Pipeline], Sequence[str]]
"""Which layers a pipeline quantises, the most sensitive first."""


@dataclass(frozen=True)
class Candidate:
    """One thing to compile.

    Attributes:
        target: The target's name.
        pipeline: The canonical text of all passes.
        options: The target's options as texts, by name.
        settings: The knobs that it was made from.
        shrinking: Which of those only leave less to compute.
    """

    target: str
    pipeline: str
    options: Mapping[str, tuple[str, ...]]
    settings: Settings
    shrinking: tuple[str, ...] = ()

    @property
    def fixed_settings(self) -> Settings:
        """The knobs that do more than to leave less to compute."""
        return {
            name: values for name, values in self.settings.items() if name not in self.shrinking
        }

    @property
    def key(self) -> str:
        """What stands for it: equal candidates are tried once."""
        options = {name: list(texts) for name, texts in self.options.items()}
        return document_sha256([self.target, self.pipeline, options])

    @property
    def label(self) -> str:
        """For instance ``openvino-int8: prune macs=0.8 importance=l2 round=8``."""
        said = [
            f"{knob} {' '.join(f'{name}={value}' for name, value in values.items())}"
            for knob, values in self.settings.items()
        ]
        return f"{self.target}: {', '.join(said)}" if said else self.target

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "target": self.target,
            "pipeline": self.pipeline,
            "options": {name: list(texts) for name, texts in self.options.items()},
            "settings": {knob: dict(values) for knob, values in self.settings.items()},
            "shrinking": list(self.shrinking),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Candidate:
        """The one that `document` was made of."""
        options = {name: tuple(texts) for name, texts in document["options"].items()}
        return cls(
            document["target"],
            document["pipeline"],
            options,
            document["settings"],
            tuple(document["shrinking"]),
        )


def candidate(
    goal: Target, knobs: Sequence[Knob], settings: Settings, ranking: Ranking
) -> Candidate:
    """Turn the knobs of `goal` to `settings`.

    Args:
        goal: The target.
        knobs: All there are.
        settings: For each that is not off the values.
        ranking: Asked where layers stay in float.

    Raises:
        UsageError: A value that a pass or the target refuses, or passes that have no place in the
            pipeline.
    """
    pipeline = Pipeline.parse(goal.pipeline)
    options: dict[str, tuple[str, ...]] = {}
    in_float: int = 0
    for knob in knobs:
        if knob.name not in settings:
            continue
        values = {**settings[knob.name], SCHEME: _scheme(pipeline)}
        for name, text in knob.set.items():
            pipeline = _with_options(pipeline, name, filled(text, values))
        if knob.passes:
            pipeline = inserted(pipeline, Pipeline.parse(filled(knob.passes, values)))
        for name, text in knob.target_options.items():
            options[name] = (filled(text, values),)
        if knob.float_layers:
            in_float = int(filled(knob.float_layers, values))
    if in_float:
        at = quantizer_index(pipeline)
        layers = ranking(Pipeline.parse(goal.pipeline))[:in_float]
        quantizer = excluding(pipeline.passes[at], layers)
        pipeline = Pipeline((*pipeline.passes[:at], quantizer, *pipeline.passes[at + 1 :]))
    from_texts(goal.option_class(), options, f"target '{goal.name}'")
    shrinking = tuple(knob.name for knob in knobs if knob.shrinks)
    return Candidate(goal.name, str(pipeline), options, settings, shrinking)


def knobs_of(goal: Target, knobs: Sequence[Knob]) -> list[Knob]:
    """Those that fit a target: by its name, and because the passes are there that they set."""
    names = {item.name for item in Pipeline.parse(goal.pipeline).passes}
    return [knob for knob in knobs if knob.fits(goal.name) and names.issuperset(knob.set)]


def _scheme(pipeline: Pipeline) -> str:
    """The scheme of what quantises; ``symmetric`` where nothing says one."""
    schemes = [
        str(item.scheme)
        for item in pipeline.passes
        if quantizes(item.states()) and hasattr(item, "scheme")
    ]
    return schemes[0] if schemes else "symmetric"


def _with_options(pipeline: Pipeline, name: str, text: str) -> Pipeline:
    """The pipeline with more options of its first pass called `name`."""
    passes: list[Pass] = list(pipeline.passes)
    at = next((index for index, item in enumerate(passes) if item.name == name), None)
    if at is None:
        raise UsageError("no such pass is in the pipeline", where=f"pass '{name}'")
    given = {**option_texts(passes[at]), **parse_options(text)}
    passes[at] = replace(from_texts(type(passes[at]), given, name))  # type: ignore[type-var]
    return Pipeline(tuple(passes))
