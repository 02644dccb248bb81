"""What is particular to one country's plates: alphabet, image size and preprocessing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from lprc.core.errors import DataError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ChannelOrder = Literal["BGR", "RGB"]

BUILTIN = ("lprnet", "synthetic")


@dataclass(frozen=True)
class PlateConfig:
    """How plates are turned into a network's input, and its output into text.

    Attributes:
        name: What to call it; the file's stem.
        alphabet: The characters by class, without the blank.
        width: Image width in pixels.
        height: Image height in pixels.
        channels: The order of the colour channels.
        mean: What is subtracted from each 0…255 value.
        scale: What the difference is multiplied by.
    """

    name: str
    alphabet: tuple[str, ...]
    width: int
    height: int
    channels: ChannelOrder
    mean: float
    scale: float

    @property
    def blank(self) -> int:
        """The class that means "no character": the last."""
        return len(self.alphabet)

    @property
    def num_classes(self) -> int:
        """The characters and the blank."""
        return len(self.alphabet) + 1

    @classmethod
    def named(cls, name: str) -> PlateConfig:
        """A built-in configuration by name, or one from a TOML file by path.

        Raises:
            DataError: No such name or file, or one that `load` refuses.
        """
        if name in BUILTIN:
            return _builtin(name)
        path = Path(name)
        if path.suffix != ".toml":
            raise DataError(
                f"unknown plates '{name}'", hint=f"known: {', '.join(BUILTIN)}, or a .toml file"
            )
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> PlateConfig:
        """Read a TOML file with exactly the keys `alphabet` and those of the attributes.

        `alphabet` is one string or a list of one-character strings.

        Raises:
            DataError: Unreadable, not TOML, or a key that is missing, unknown or ill-typed.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"can't be read: {error}", where=str(path)) from error
        return cls.parse(text, name=path.stem, where=str(path))

    @classmethod
    def parse(cls, text: str, *, name: str, where: str) -> PlateConfig:
        """As `load`, from the file's text."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise DataError(f"not TOML: {error}", where=where) from error
        unknown = sorted(set(table) - set(_READERS))
        if unknown:
            raise DataError(
                f"unknown key '{unknown[0]}'", where=where, hint=f"known: {', '.join(_READERS)}"
            )
        missing = [key for key in _READERS if key not in table]
        if missing:
            raise DataError(f"key '{missing[0]}' is missing", where=where)
        values: dict[str, Any] = {}
        for key, read in _READERS.items():
            try:
                values[key] = read(table[key])
            except ValueError as error:
                raise DataError(str(error), where=f"{where}: {key}") from error
        return cls(name=name, **values)


@cache
def _builtin(name: str) -> PlateConfig:
    resource = resources.files("lprc.models").joinpath(f"{name}.toml")
    text = resource.read_text(encoding="utf-8")
    return PlateConfig.parse(text, name=name, where=f"{name}.toml")


def _alphabet(value: Any) -> tuple[str, ...]:
    characters = tuple(value) if isinstance(value, (str, list)) else ()
    if not characters or any(not isinstance(each, str) or len(each) != 1 for each in characters):
        raise ValueError("must be a string, or a list of one-character strings")
    repeated = sorted({each for each in characters if characters.count(each) > 1})
    if repeated:
        raise ValueError(f"'{repeated[0]}' stands in it twice")
    return characters


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 10_000:
        raise ValueError("must be a whole number of pixels from 1 to 10000")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise ValueError("must be a number")
    return float(value)


def _scale(value: Any) -> float:
    if _number(value) == 0:
        raise ValueError("must not be 0: every image would be the same")
    return float(value)


def _channels(value: Any) -> str:
    if value not in get_args(ChannelOrder):
        raise ValueError("must be 'BGR' or 'RGB'")
    return str(value)


_READERS = {
    "alphabet": _alphabet,
    "width": _size,
    "height": _size,
    "channels": _channels,
    "mean": _number,
    "scale": _scale,
}
