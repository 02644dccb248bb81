"""How an entry stands in its file: a digest, then what it is an entry for, its header, its bytes.

The digest covers the rest, the key too, so that an entry copied to another key's name is none. With
a secret it is an HMAC: who does not have the secret can't make an entry that is read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lprc.core.files.json_text import parse_json

_MAGIC = b"lprc-cache"


@dataclass(frozen=True)
class Entry:
    """What a key stands for.

    Attributes:
        header: JSON data.
        payload: Bytes.
    """

    header: dict[str, Any]
    payload: bytes


class DamagedEntryError(ValueError):
    """A file that is no entry for the key under which it lies."""


def packed(
    kind: str, key: str, header: Mapping[str, Any], payload: bytes, secret: bytes | None
) -> bytes:
    """An entry as the bytes of a file."""
    document = {"kind": kind, "key": key, "header": header}
    text = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    body = text + b"\n" + payload
    return b"%s %s\n%s" % (_MAGIC, _digest(body, secret), body)


def unpacked(kind: str, key: str, data: bytes, secret: bytes | None) -> Entry:
    """The entry in the bytes of a file.

    Raises:
        DamagedEntryError: Torn, altered, made without the secret, or an entry for something else.
    """
    first, _, body = data.partition(b"\n")
    if not hmac.compare_digest(first, b"%s %s" % (_MAGIC, _digest(body, secret))):
        raise DamagedEntryError("its digest is not that of its contents")
    text, _, payload = body.partition(b"\n")
    try:
        document = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise DamagedEntryError(f"its header can't be read: {error}") from error
    if not isinstance(document, dict) or (document.get("kind"), document.get("key")) != (kind, key):
        raise DamagedEntryError("it is an entry for something else")
    header = document.get("header")
    if not isinstance(header, dict):
        raise DamagedEntryError("it has no header")
    return Entry(header, payload)


def _digest(body: bytes, secret: bytes | None) -> bytes:
    if secret is None:
        return hashlib.sha256(body).hexdigest().encode("ascii")
    return b"hmac-" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode("ascii")


def join(parts: Mapping[str, bytes]) -> tuple[list[list[Any]], bytes]:
    """Several byte strings as one payload, and the table that `split` needs."""
    return [[name, len(data)] for name, data in parts.items()], b"".join(parts.values())


def split(table: Any, payload: bytes) -> dict[str, bytes]:
    """What `join` joined; the table is one that `lprc.compiler.cache.entry_rules` has checked."""
    parts, start = {}, 0
    for name, length in table:
        parts[str(name)] = payload[start : start + length]
        start += length
    return parts
