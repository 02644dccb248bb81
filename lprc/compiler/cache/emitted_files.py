"""What an emitter made of the same lowered graph need not be made again."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lprc.compiler.cache.cached_passes import full_options, samples_key
from lprc.compiler.cache.entry_format import Entry, join, split
from lprc.compiler.cache.entry_rules import INPUTS
from lprc.compiler.cache.store import Store
from lprc.compiler.cache.surroundings import surroundings
from lprc.core.errors import DataError
from lprc.core.files.array_files import arrays_in
from lprc.core.files.digest import document_sha256, sha256
from lprc.core.running.numerics import Arrays
from lprc.core.targets.emitter import EmitJob, Emitted, Emitter

_LARGEST = 4
"""An artefact larger than this part of the store is not kept."""


def emit_once(emitter: Emitter, place: str, job: EmitJob, store: Store | None) -> Emitted:
    """What `emitter` gives for `job`, from the store if it gave it before.

    Known by the lowered graph, the target's options, the samples, SDKs and GPUs. A third party's
    emitter always runs: what it depends on is not known. So does one whose options reach out.

    Args:
        emitter: The emitter.
        place: Where it is: ``module:function``.
        job: Its folder holds the lowered graph only.
        store: None runs the emitter.
    """
    if store is None or not place.startswith("lprc.") or job.options.reaches_out():
        return emitter(job)
    before = _files(job.folder)
    key = _key(place, job, before, store)
    entry = store.read("emitted", key)
    if entry is not None:
        restored = _restore(entry, job.folder)
        if restored is not None:
            return restored
        store.refuse("emitted", key, "its files are not what such entries hold")
    emitted = emitter(job)
    _keep(store, key, emitted, job.folder, before)
    return emitted


def _key(place: str, job: EmitJob, before: Mapping[str, str], store: Store) -> str:
    return document_sha256(
        {
            "emitter": place,
            "target": job.target,
            "lowered": dict(before),
            "options": full_options(job.options),
            "samples": samples_key(job.inputs),
            "tolerance": job.tolerance,
            "skips": dict(job.skips),
            "around": surroundings(store, sdks=True),
        }
    )


def _keep(
    store: Store, key: str, emitted: Emitted, folder: Path, before: Mapping[str, str]
) -> None:
    written = [name for name, digest in _files(folder).items() if before.get(name) != digest]
    if any(path.is_dir() for path in folder.iterdir()):
        return
    if sum((folder / name).stat().st_size for name in written) > store.limit // _LARGEST:
        return
    parts = {name: (folder / name).read_bytes() for name in written}
    for number, arrays in enumerate(emitted.inputs):
        if any(array.dtype == object for array in arrays.values()):
            return  # strings would have to be pickled
        parts[f"{INPUTS}{number}"] = _archive(arrays)
    table, payload = join(parts)
    header = {
        "parts": table,
        "files": [path.name for path in emitted.files],
        "report": emitted.report,
        "warnings": emitted.warnings,
    }
    store.write("emitted", key, header, payload)


def _restore(entry: Entry, folder: Path) -> Emitted | None:
    """Write what was made into `folder`; None, and nothing written, where that can't be."""
    header = entry.header
    parts = split(header["parts"], entry.payload)
    stored = {name: data for name, data in parts.items() if name.startswith(INPUTS)}
    files = {name: data for name, data in parts.items() if name not in stored}
    missing = [n for n in header["files"] if n not in files and not (folder / n).is_file()]
    try:
        inputs = [
            arrays_in(io.BytesIO(stored[name]), "the cache") for name in sorted(stored, key=_number)
        ]
    except DataError:
        return None
    if missing:
        return None
    for name, data in files.items():
        (folder / name).write_bytes(data)
    paths = [folder / name for name in header["files"]]
    return Emitted(paths, header["report"], header["warnings"], inputs)


def _number(name: str) -> int:
    return int(name.removeprefix(INPUTS))


def _archive(arrays: Arrays) -> bytes:
    stream = io.BytesIO()
    plain: dict[str, Any] = dict(arrays)
    np.savez(stream, **plain)
    return stream.getvalue()


def _files(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
