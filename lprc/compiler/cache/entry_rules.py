"""What entries of each kind must look like; whatever does not is as good as none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from lprc.compiler.artifact.manifest_file import FILE, SCHEMA
from lprc.compiler.cache.entry_format import split
from lprc.core.files.json_text import parse_json
from lprc.core.files.names import is_inner_path, is_plain_name

INPUTS = "inputs/"
"""Before the names of arrays among the parts of what an emitter made."""

_HASH = re.compile(r"[0-9a-f]{64}")

Rule = Callable[[dict[str, Any], bytes], bool]


def is_sound(kind: str, header: dict[str, Any], payload: bytes) -> bool:
    """Whether an entry is one that lprc could have written."""
    rule = _RULES.get(kind)
    try:
        return rule is None or rule(header, payload)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return False


def _sources(header: dict[str, Any], payload: bytes) -> bool:
    return not payload and _is_hash(header["digest"])


def _weights(header: dict[str, Any], payload: bytes) -> bool:
    return not payload and all(map(is_inner_path, _list(header["files"])))


def _pass(header: dict[str, Any], payload: bytes) -> bool:
    events = [*_list(header["rewrites"]), *_list(header["skips"])]
    return not payload and _is_hash(header["after"]) and all(map(_is_event, events))


def _is_event(event: Any) -> bool:
    node, kind, origins, text = event
    return _are_texts([node, kind, text, *_list(origins)])


def _model(header: dict[str, Any], payload: bytes) -> bool:
    names = _names(header["parts"], payload)
    kept = header["kept"]
    numbers = [number for ids in _table(kept).values() for number in _list(ids)]
    return names in ({"model"}, {"model", "reference"}) and all(
        isinstance(number, int) and abs(number) < 2**63 for number in numbers
    )


def _emitted(header: dict[str, Any], payload: bytes) -> bool:
    names = _names(header["parts"], payload)
    arrays = {name for name in names if name.startswith(INPUTS)}
    files = [*(names - arrays), *_list(header["files"])]
    numbers = {f"{INPUTS}{number}" for number in range(len(arrays))}
    return (
        arrays == numbers
        and all(map(is_plain_name, files))
        and _are_texts(_list(header["warnings"]))
        and _is_report(_table(header["report"]))
    )


def _is_report(report: Mapping[str, Any]) -> bool:
    counts = [counts[key] for counts in _table(report.get("operators", {})).values()
              for key in ("all", "asked", "int8")]  # fmt: skip
    floats = _list(report.get("float", []))
    texts = [text for item in floats for text in (item["node"], item["why"])]
    texts += [text for item in floats for key in ("sources", "reads") for text in _list(item[key])]
    return all(isinstance(count, int) for count in counts) and _are_texts(texts)


def _artefact(header: dict[str, Any], payload: bytes) -> bool:
    """The artefact is the one that its own manifest describes, and what was said of it is text.

    By hand: pydantic takes longer to import than a compile takes that is served from here. Whoever
    opens the artefact checks the rest of its manifest.
    """
    names = _names(header["parts"], payload)
    if not all(map(is_plain_name, names)) or not _is_said(_table(header["said"])):
        return False
    parts = split(header["parts"], payload)
    manifest = _table(parse_json(parts[FILE]))
    if manifest.get("schema") != SCHEMA:
        return False
    listed = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    actual = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    actual.pop(FILE)
    return actual == listed


def _is_said(said: Mapping[str, Any]) -> bool:
    document = _table(said["document"])
    rows = [_table(row)["accuracy"] for row in _list(document["comparison"])]
    texts = [said["summary"], *_list(document["warnings"])]
    return _are_texts(texts) and all(row is None or type(row) in (int, float) for row in rows)


def _names(table: Any, payload: bytes) -> set[str]:
    """The names of an entry's parts.

    Raises:
        ValueError: They are not those of `payload`: a name twice, lengths that do not add up.
    """
    names, total = [], 0
    for name, length in _list(table):
        if type(length) is not int or length < 0 or not isinstance(name, str):
            raise ValueError("no part")
        names.append(name)
        total += length
    if total != len(payload) or len(set(names)) != len(names):
        raise ValueError("no table of the payload")
    return set(names)


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a table")
    return value


_RULES: dict[str, Rule] = {
    "artefact": _artefact,
    "emitted": _emitted,
    "model": _model,
    "pass": _pass,
    "sources": _sources,
    "weights": _weights,
}
