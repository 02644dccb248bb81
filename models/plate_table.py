"""The keys of a plates file, as they may be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_serializer, model_validator

from lprc.core.files.checked import StrictTable
from lprc.core.tasks.image_input import ImageInput


def _characters(value: object) -> object:
    """A string as the list of its characters; whatever else as it is."""
    return list(value) if isinstance(value, str) else value


def _single(value: str) -> str:
    if len(value) != 1:
        raise ValueError("must be one character")
    return value


def _distinct(characters: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({item for item in characters if characters.count(item) > 1})
    if repeated:
        raise ValueError(f"'{repeated[0]}' stands in it twice")
    return characters


def _regular(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return pattern


class PlateText(StrictTable):
    """What an output means: its classes, and how they become a text."""

    alphabet: Annotated[
        tuple[Annotated[str, AfterValidator(_single)], ...],
        Field(strict=False, min_length=1),
        BeforeValidator(_characters, json_schema_input_type=str | list[str]),
        AfterValidator(_distinct),
    ]
    decoder: Literal["greedy", "beam"] = "greedy"
    beam_width: Annotated[int, Field(ge=1, le=1000)] = 10
    pattern: Annotated[str, AfterValidator(_regular)] | None = None
    lexicon: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @field_serializer("alphabet", when_used="json")
    def _as_written(self, alphabet: tuple[str, ...]) -> str:
        return "".join(alphabet)

    @model_validator(mode="after")
    def _consistent(self) -> PlateText:
        if self.decoder == "greedy" and (self.pattern is not None or self.lexicon):
            raise ValueError('a pattern or a lexicon needs decoder = "beam"')
        foreign = {sign for word in self.lexicon for sign in word} - set(self.alphabet)
        if foreign:
            raise ValueError(f"the lexicon has '{min(foreign)}', which is not in the alphabet")
        return self


_OLD_KEYS = ("width", "height", "mean", "scale")


class PlatesTable(StrictTable):
    """A task file of kind ``plates``: the classes of the output are the alphabet's, then the blank.

    A file of the first release is one table, with ``channels`` for ``color``.
    """

    input: ImageInput
    output: PlateText

    @model_validator(mode="before")
    @classmethod
    def _one_table(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not data.keys() & {"alphabet", *_OLD_KEYS, "channels"}:
            return data
        if data.keys() & {"input", "output"}:
            return data
        rest = dict(data)
        image = {key: rest.pop(key) for key in _OLD_KEYS if key in rest}
        if "channels" in rest:
            image["color"] = rest.pop("channels")
        text = {"alphabet": rest.pop("alphabet")} if "alphabet" in rest else {}
        return {"input": image, "output": text, **rest}
