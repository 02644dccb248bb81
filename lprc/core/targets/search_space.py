"""What a search may change in targets' pipelines, as data."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import resources
from string import Template
from typing import Annotated

from pydantic import Field, model_validator

from lprc.core import registry
from lprc.core.builtin import SEARCH_SPACES, TARGET_ALIASES
from lprc.core.errors import UsageError
from lprc.core.files.checked import StrictTable, checked
from lprc.core.files.toml_text import toml_table

GROUP = "lprc.search"
"""Entry points that name a `SearchSpace` of a third party's."""

SCHEME = "scheme"
"""A placeholder that needs no values: the scheme of the target's quantiser."""

Texts = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class Knob(StrictTable):
    """One thing that a search may change; ``$name`` in texts stands for a value of that name.

    Attributes:
        name: What to call it.
        targets: Patterns of the names of targets that have it, or of their aliases.
        passes: Pipeline text to insert, as far back as the order of passes allows.
        set: Options of passes in the pipeline, by the passes' names.
        target_options: Options of the target.
        float_layers: How many layers stay in float, the most sensitive ones.
        shrinks: Whether it leaves less to compute with all else as it is, so that one of two
            candidates that differ in it alone is no better where it has more of all.
        values: The values by name. The first name's can be "off" as well.
        seconds: What a value of the first name costs in seconds; a search does not begin what its
            budget can't pay.
    """

    name: str
    targets: Texts = ("*",)
    passes: str = ""
    set: dict[str, str] = Field(default_factory=dict)
    target_options: dict[str, str] = Field(default_factory=dict)
    float_layers: str = ""
    shrinks: bool = False
    values: dict[str, Texts] = Field(min_length=1)
    seconds: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_values_for_all(self) -> Knob:
        texts = [self.passes, self.float_layers, *self.set.values(), *self.target_options.values()]
        if not any(texts):
            raise ValueError("it changes nothing: give passes, set, target-options or float-layers")
        used = {name for text in texts for name in _placeholders(text)} - {SCHEME}
        if used != {*self.values}:
            odd = sorted(used ^ {*self.values})[0]
            raise ValueError(f"'{odd}' has to stand both in values and, as ${odd}, in a text")
        return self

    def fits(self, target: str) -> bool:
        """Whether the target called `target` has it."""
        aliases = [alias for alias, name in TARGET_ALIASES.items() if name == target]
        return any(
            fnmatchcase(name, pattern) for pattern in self.targets for name in (target, *aliases)
        )


class SearchSpace(StrictTable):
    """The knobs of a file.

    Attributes:
        knobs: They, in the order in which they are applied.
    """

    knobs: Annotated[tuple[Knob, ...], Field(strict=False)] = ()

    @classmethod
    def from_toml(cls, text: str, *, where: str) -> SearchSpace:
        """Read TOML.

        Raises:
            UsageError: Not TOML, or a key that is missing, unknown or ill-typed.
        """
        return checked(
            cls, toml_table(text, where=where, error=UsageError), where=where, error=UsageError
        )

    @classmethod
    def from_resource(cls, package: str, file: str) -> SearchSpace:
        """Read a TOML file in `package`.

        Raises:
            UsageError: As of `from_toml`.
        """
        text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
        return cls.from_toml(text, where=file)


def search_spaces() -> list[SearchSpace]:
    """Those of lprc and of all third parties.

    Raises:
        UsageError: One that can't be loaded.
    """
    spaces = []
    for name in registry.names(SEARCH_SPACES, GROUP):
        space = registry.load("search space", name, SEARCH_SPACES, GROUP)
        if not isinstance(space, SearchSpace):
            raise UsageError(f"'{name}' is not a SearchSpace", where=f"entry point group {GROUP}")
        spaces.append(space)
    return spaces


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with the values in the places of their names."""
    return Template(text).substitute(values)


def _placeholders(text: str) -> list[str]:
    return [match["named"] for match in Template.pattern.finditer(text) if match["named"]]
