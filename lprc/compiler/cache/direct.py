"""Whole compiles that were done before: known by their inputs' bytes, without reading a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.cache.entry_format import join, split
from lprc.compiler.cache.input_files import InputFiles
from lprc.compiler.cache.store import Store
from lprc.compiler.cache.surroundings import surroundings
from lprc.core.files.atomic import atomic_folder
from lprc.core.files.digest import document_sha256, sha256

_LARGEST = 4
"""An artefact larger than this part of the store is not kept."""


class DirectCompile:
    """One compile, as far as it is known before anything heavy is imported.

    After ccache's direct mode. The key holds every option, the bytes of every file that is read
    and what passes and SDKs depend on; so what was verified then need not be verified again.

    Args:
        store: Where to look.
        request: All options that shape the artefact, as JSON data; without paths.
        inputs: The files.

    Raises:
        OSError: One of them can't be read.
    """

    def __init__(self, store: Store, request: Mapping[str, Any], inputs: InputFiles) -> None:
        self._store = store
        self._files = inputs.files
        self._before = _status(self._files)
        self._key = document_sha256(
            {
                "request": dict(request),
                "model": [inputs.model.name, sha256(inputs.model)],
                "weights": _contents(inputs.weights),
                "calibration": _contents(inputs.calibration),
                "samples": _contents(inputs.samples),
                "data": _contents(inputs.data),
                "settings": _contents(inputs.settings),
                "around": surroundings(store, sdks=True),
            }
        )

    def restore(self, out: Path) -> dict[str, Any] | None:
        """Write the artefact to `out`; what `keep` was told, or None where it is not known.

        Raises:
            OutputError: `out` can't be written, or is a folder that lprc did not write.
        """
        entry = self._store.read("artefact", self._key)
        if entry is None:
            return None
        with atomic_folder(out, may_replace=is_artefact) as folder:
            for name, data in split(entry.header["parts"], entry.payload).items():
                (folder / name).write_bytes(data)  # plain names: `entry_rules` has seen to that
        said: dict[str, Any] = entry.header["said"]
        return said

    def keep(self, out: Path, said: Mapping[str, Any]) -> None:
        """Remember the artefact in `out`, unless an input was changed while it was made.

        Args:
            out: The artefact.
            said: What to tell the user of it next time, as JSON data.
        """
        try:
            if _status(self._files) != self._before:
                return
            paths = sorted(out.iterdir())
            size = sum(path.stat().st_size for path in paths)
            if any(path.is_dir() for path in paths) or size > self._store.limit // _LARGEST:
                return
            table, payload = join({path.name: path.read_bytes() for path in paths})
        except OSError:  # someone removes it, or an input, at this moment
            return
        self._store.write("artefact", self._key, {"parts": table, "said": dict(said)}, payload)


def _contents(paths: Sequence[Path]) -> list[list[str]]:
    return [[path.name, sha256(path)] for path in paths]


def _status(paths: Sequence[Path]) -> list[tuple[int, int, int, int]]:
    found = [path.stat() for path in paths]
    return [(each.st_size, each.st_mtime_ns, each.st_ctime_ns, each.st_ino) for each in found]
