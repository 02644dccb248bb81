"""The model after each pass that changed it, as files."""

from __future__ import annotations

import re
from pathlib import Path

import onnx_ir as ir

from lprc.core.errors import OutputError, UsageError
from lprc.core.files.atomic import atomic_file
from lprc.core.graph.printer import model_text
from lprc.core.onnx_io.model_io import save
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_registry import pass_names
from lprc.core.passing.pipeline import Pipeline


def check_folder(folder: Path | None, out: Path) -> None:
    """Refuse to write snapshots into what the command replaces when it is done.

    Raises:
        UsageError: `folder` is `out` or lies in it.
    """
    if folder is not None and folder.resolve().is_relative_to(out.resolve()):
        raise UsageError(
            f"lies in the output '{out}', which is replaced as a whole",
            where=f"--dump-dir {folder}",
            hint="name a folder beside it",
        )


class Snapshots(Instrument):
    """Writes ``00-source``, then ``NN-PASS`` (NN counts from 1), each as .onnx and as .txt.

    Args:
        folder: Where to; it is made if need be, and snapshots of an earlier run in it go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Write the source.

        Raises:
            OutputError: The folder can't be made or written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._remove_earlier()
        except OSError as error:
            raise OutputError(
                f"can't be made or emptied: {error.strerror}", where=str(self._folder)
            ) from error
        self._write(model, "00-source")

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Write the model if the pass changed it."""
        if record.changed:
            self._write(model, f"{record.position + 1:02d}-{record.name}")

    def _remove_earlier(self) -> None:
        """Remove what an earlier run wrote: of passes that change nothing now, it would stay."""
        names = "|".join(map(re.escape, ("source", *pass_names())))
        written = re.compile(rf"\d{{2,}}-({names})\.(onnx|onnx\.data|txt)")
        for path in self._folder.iterdir():
            if written.fullmatch(path.name) and path.is_file():
                path.unlink()

    def _write(self, model: ir.Model, stem: str) -> None:
        save(model, self._folder / f"{stem}.onnx")
        with atomic_file(self._folder / f"{stem}.txt") as temporary:
            temporary.write_text(model_text(model, show_origins=True), encoding="utf-8")
