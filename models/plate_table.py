"""The keys of a plates file, as they may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from lprc.core.files.checked import StrictTable


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


def _not_zero(scale: float) -> float:
    if scale == 0:
        raise ValueError("must not be 0: every image would be the same")
    return scale


Pixels = Annotated[int, Field(ge=1, le=10_000)]
Number = Annotated[float, Field(gt=-1e9, lt=1e9)]


class PlateTable(StrictTable):
    """What `lprc.models.plate_config.PlateConfig` is read from."""

    alphabet: Annotated[
        tuple[Annotated[str, AfterValidator(_single)], ...],
        Field(strict=False, min_length=1),
        BeforeValidator(_characters),
        AfterValidator(_distinct),
    ]
    width: Pixels
    height: Pixels
    channels: Literal["BGR", "RGB"]
    mean: Number
    scale: Annotated[Number, AfterValidator(_not_zero)]
