"""``lprc compile`` without compiling, where the same was compiled before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from lprc.cli.common import PathArgument
from lprc.cli.outputs import OutputArgument
from lprc.cli.say import say
from lprc.compiler.artifact.manifest_file import FILE
from lprc.compiler.cache.location import store_in_use
from lprc.core.errors import LprcError, UsageError

if TYPE_CHECKING:
    from lprc.compiler.cache.direct import DirectCompile
    from lprc.compiler.cache.store import Store

F = TypeVar("F", bound=Callable[..., Any])

_SHAPING = (
    "target",
    "passes",
    "then",
    "emit",
    "options",
    "input_shapes",
    "dims",
    "quantized",
    "verify",
    "seed",
    "task",
    "embed",
    "source_color",
    "min_accuracy",
)
"""Options that shape the artefact."""

_SILENT = {
    "model",
    "calib",
    "inputs",
    "data",
    "out",
    "as_json",
    "quiet",
    "no_cache",
    "depfile",
    "depfile_target",
}
"""Arguments that do not, or whose files stand in the key."""


def no_cache_option(function: F) -> F:
    """``--no-cache``: run everything."""
    return click.option(
        "--no-cache", is_flag=True, help="Neither look into the cache nor add to it."
    )(function)


def depfile_options(function: F) -> F:
    """``--depfile`` and ``--depfile-target``."""
    target = click.option(
        "--depfile-target",
        type=PathArgument,
        help=f"What to call the output in it.  [default: OUT/{FILE}]",
    )
    depfile = click.option(
        "--depfile",
        type=OutputArgument,
        help="Write here what the artefact was made from, for Make and Ninja.",
    )
    return depfile(target(function))


class CompileCache:
    """The cache as one run of ``lprc compile`` uses it.

    Args:
        context: Of the command.
        depfile: Where to write what the artefact was made from; None for nowhere.
        called: What to call the artefact in it; None for its manifest.
        off: Whether there is to be no cache.

    Attributes:
        store: For passes and emitters; None where the cache is off.
    """

    def __init__(
        self, context: click.Context, depfile: Path | None, called: Path | None, *, off: bool
    ) -> None:
        self._given = context.params
        self._depfile, self._called = depfile, called
        self.store: Store | None = store_in_use(off=off)
        others = {
            name
            for name in self._given
            if context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)
        }
        # An option that is not known here, such as one that measures, has to be seen at work.
        plain = others <= {*_SHAPING, *_SILENT}
        self._direct = self._find(self.store) if plain and self.store is not None else None

    def restore(self) -> dict[str, Any] | None:
        """Write the artefact and say what was said of it; None where it has to be compiled."""
        if self._direct is None:
            return None
        out = self._given["out"]
        said = self._direct.restore(out)
        if said is None:
            return None
        document = said["document"]
        document |= {"output": str(out), "inputs": self.input_names(), "cached": True}
        for row, name in zip(document["comparison"], (self._given["model"], out), strict=False):
            row["artefact"] = str(name)
        self._write_depfile()
        self._close()
        return said

    def finish(self, said: Mapping[str, Any]) -> None:
        """Remember what was compiled, and write the dependency file."""
        if self._direct is not None:
            self._direct.keep(self._given["out"], said)
        self._write_depfile()
        self._close()

    def input_names(self) -> list[str]:
        """The files that were read."""
        return [str(path) for path in self._inputs().files]

    def _inputs(self) -> Any:
        from lprc.compiler.cache.input_files import input_files

        given = {name: self._given[name] for name in ("calib", "inputs", "data", "task")}
        return input_files(self._given["model"], **given, store=self.store)

    def _find(self, store: Store) -> DirectCompile | None:
        from lprc.compiler.cache.direct import DirectCompile

        if any(_may_name_file(text) for text in self._given["options"]):
            return None
        request = {name: self._given[name] for name in _SHAPING}
        if request["task"] is not None:
            request["task"] = Path(request["task"]).name
        try:
            return DirectCompile(store, request, self._inputs())
        except (OSError, LprcError):  # the compile itself says what is wrong, and where
            return None

    def _write_depfile(self) -> None:
        if self._depfile is None:
            return
        from lprc.compiler.artifact.depfile import write_depfile

        inputs = self._inputs()
        output = self._called or self._given["out"] / FILE
        write_depfile(self._depfile, output, [*inputs.files, *inputs.folders])

    def _close(self) -> None:
        if self.store is None:
            return
        self.store.close()
        say_cache_notes(self.store, verbose=bool(self._given["verbose"]))


def say_cache_notes(store: Store, *, verbose: bool) -> None:
    """Say why the cache could not be written and, where details are wanted, what was not read."""
    notes = [store.trouble] if store.trouble is not None else []
    for text in (*notes, *(store.refusals if verbose else ())):
        say(f"note: {text}", err=True)


def check_depfile(depfile: Path | None, called: Path | None) -> None:
    """Refuse a name for the output in no file.

    Raises:
        UsageError: ``--depfile-target`` without ``--depfile``.
    """
    if called is not None and depfile is None:
        raise UsageError("names the output in no file", where="--depfile-target", hint="--depfile")


def _may_name_file(text: str) -> bool:
    _, _, values = text.partition("=")
    return any("/" in each or "\\" in each or Path(each).exists() for each in values.split(","))
