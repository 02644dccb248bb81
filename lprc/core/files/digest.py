"""Hashes of files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lprc.core.files.regular import open_regular


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open_regular(path) as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def file_document(path: Path) -> dict[str, Any]:
    """A file's SHA-256 and size in bytes, as manifests list it."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def document_sha256(document: Any) -> str:
    """The SHA-256 of JSON data, whatever the order of its keys."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
