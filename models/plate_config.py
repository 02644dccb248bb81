"""The properties of one country's plates: alphabet, image size and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from lprc.core.errors import DataError
from lprc.core.files.toml_text import read_toml, toml_table

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
            text = read_toml(path)
        except (OSError, ValueError) as error:
            raise DataError(f"can't be read: {error}", where=str(path)) from error
        return cls.parse(text, name=path.stem, where=str(path))

    @classmethod
    def parse(cls, text: str, *, name: str, where: str) -> PlateConfig:
        """As `load`, from the file's text."""
        from lprc.core.files.checked import checked
        from lprc.models.plate_table import PlateTable

        table = toml_table(text, where=where, error=DataError)
        return cls(name=name, **dict(checked(PlateTable, table, where=where, error=DataError)))


@cache
def _builtin(name: str) -> PlateConfig:
    resource = resources.files("lprc.models").joinpath(f"{name}.toml")
    text = resource.read_text(encoding="utf-8")
    return PlateConfig.parse(text, name=name, where=f"{name}.toml")
