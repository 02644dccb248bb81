"""Passes that ran before need not run again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from importlib.metadata import Distribution, entry_points
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.build_inputs import Hashed, samples_sha256
from lprc.compiler.cache.entry_format import Entry
from lprc.compiler.cache.snapshot import Snapshot, freeze, thaw
from lprc.compiler.cache.store import Store
from lprc.compiler.cache.surroundings import surroundings
from lprc.core.builtin import PASSES
from lprc.core.files.digest import document_sha256
from lprc.core.options import value_texts
from lprc.core.passing.pass_base import Pass, Rewrite, Skip
from lprc.core.passing.result_memory import Remembered
from lprc.core.running.numerics import Arrays

_LARGEST = 16
"""A model larger than this part of the store is not kept: a pipeline would fill it with one."""


class StoredPasses:
    """A `lprc.core.passing.result_memory.PassMemory` in a store.

    An entry ``pass`` says what a pass did and the hash of the model that it left; an entry
    ``model`` under that hash is the model. So a chain of known passes is followed by hashes alone.

    What a pass did is known by the hash of the model before it, its options (those that have their
    defaults too), lprc's sources, the libraries, the machine and, where the pass says that it reads
    them, the samples.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._around = surroundings(store, sdks=False)
        self._limit = store.limit // _LARGEST
        self._calibration: Sequence[Arrays] = ()
        self._now: str | None = None
        self._pending: Entry | None = None
        self._looked_for: str | None = None
        self._samples: str | None = None

    def start(self, model: ir.Model, calibration: Sequence[Arrays]) -> None:
        """Begin a pipeline on `model`."""
        self._calibration = calibration
        self._pending = self._samples = None
        snapshot = freeze(model, limit=self._limit)
        self._now = snapshot.hash if snapshot is not None else None

    def translate(self, calibration: Sequence[Arrays]) -> None:
        """Go on with these samples: a pass changed what the model takes."""
        self._calibration, self._samples = calibration, None

    def recall(self, item: Pass) -> Remembered | None:
        """What `item` did on the model as it would be now; None where that is not known."""
        self._looked_for = key = self._key(item)
        entry = self._store.read("pass", key) if key is not None else None
        if entry is None:
            return None
        after = str(entry.header["after"])
        if after != self._now:
            model = self._store.read("model", after)
            if model is None:
                return None
            self._now, self._pending = after, model
        return _remembered(entry.header)

    def catch_up(self, model: ir.Model) -> None:
        """Make `model` what the last recalled pass left."""
        if self._pending is not None:
            thaw(self._pending.header, self._pending.payload, model)
            self._pending = None

    def keep(self, model: ir.Model, item: Pass, what: Remembered) -> None:
        """Remember what `item`, the last that ran, did; `model` is what it left."""
        key = self._key(item)
        if key != self._looked_for:  # someone changed the samples while the pass read them
            key = None
        after = self._now
        if what.rewrites:
            snapshot = freeze(model, limit=self._limit)
            after = None if snapshot is None else snapshot.hash
            if snapshot is not None and key is not None:
                self._write_model(snapshot)
        if key is not None and after is not None:
            self._store.write("pass", key, {"after": after, **_document(what)})
        self._now = after

    def _write_model(self, snapshot: Snapshot) -> None:
        if self._store.read("model", snapshot.hash) is None:
            self._store.write("model", snapshot.hash, snapshot.header, snapshot.payload)

    def _key(self, item: Pass) -> str | None:
        """What stands for `item` on the model as it is now; None where nothing does."""
        if self._now is None:
            return None
        origin = _origin(item)
        if origin is None:
            return None
        return document_sha256(
            {
                "before": self._now,
                "pass": item.name,
                "options": full_options(item),
                "origin": origin,
                "samples": self._samples_hash() if item.reads_calibration else None,
                "around": self._around,
            }
        )

    def _samples_hash(self) -> str:
        if self._samples is not None and not isinstance(self._calibration, Hashed):
            return self._samples  # in memory; files may be changed meanwhile
        self._samples = samples_key(self._calibration)
        return self._samples


def samples_key(samples: Sequence[Arrays]) -> str:
    """A hash of samples and of what the first is like, for files know nothing of batches."""
    first = samples[0] if len(samples) else {}
    like = {name: [str(array.dtype), list(array.shape)] for name, array in first.items()}
    return document_sha256([samples_sha256(samples), like])


def full_options(instance: Any) -> dict[str, list[str]]:
    """All options of a pass or a target as texts, those that have their defaults too."""
    return {
        field.name: list(value_texts(getattr(instance, field.name)))
        for field in dataclasses.fields(instance)
    }


def _origin(item: Pass) -> str | None:
    """Which code the pass is: lprc's own, or a release of a third party's; None where unknown."""
    place = f"{type(item).__module__}:{type(item).__qualname__}"
    if PASSES.get(item.name) == place:
        return "lprc"
    for point in entry_points(group="lprc.passes"):
        if point.name == item.name and point.value.replace(" ", "") == place:
            return _release(point.dist)
    return None


def _release(found: Distribution | None) -> str | None:
    """Name and version of an installed package; None for one whose sources may change any time."""
    if found is None:
        return None
    installed_from = json.loads(found.read_text("direct_url.json") or "{}")
    if installed_from.get("dir_info", {}).get("editable"):
        return None
    return f"{found.metadata['Name']} {found.version}"


def _document(what: Remembered) -> dict[str, Any]:
    return {
        "rewrites": [[*_node(each), each.note] for each in what.rewrites],
        "skips": [[*_node(each), each.reason] for each in what.skips],
    }


def _node(each: Rewrite | Skip) -> list[Any]:
    return [each.node, each.op_type, list(each.origins)]


def _remembered(header: dict[str, Any]) -> Remembered:
    return Remembered(
        tuple(Rewrite(node, kind, tuple(of), note) for node, kind, of, note in header["rewrites"]),
        tuple(Skip(node, kind, tuple(of), why) for node, kind, of, why in header["skips"]),
    )
