"""Entries in a place that many machines share: a bucket, or whatever fsspec can reach."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any

from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.process.installed import is_installed

LOCAL_KINDS = frozenset({"sources"})
"""Kinds of entries whose keys hold places of this machine."""


_SCRATCH = "incoming"


class RemoteEntries:
    """The bytes of entries below a URL.

    An entry is written under another name and moved, so that none is there in part where the file
    system moves at once; where it does not, the digest in the entry tells. What can't be reached is
    not asked again: `trouble` says why.

    Args:
        url: Of a folder, for instance ``s3://bucket/lprc``.
        schema: Of keys and entries.

    Raises:
        MissingDependencyError: fsspec, or what it needs for the URL's protocol, is not installed.
        UsageError: fsspec does not know the protocol.

    Attributes:
        trouble: Why it could not be reached; None where it could.
    """

    def __init__(self, url: str, schema: int) -> None:
        if not is_installed("fsspec"):
            raise MissingDependencyError(
                "fsspec is not installed", where=f"cache {url}", hint='pip install "lprc[remote]"'
            )
        import fsspec

        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            first = str(error).splitlines()[0]
            raise MissingDependencyError(first, where=f"cache {url}") from error
        except ValueError as error:
            raise UsageError(
                f"can't be used: {error}",
                where=f"cache {url}",
                hint="for instance s3://bucket/lprc",
            ) from error
        self.url = url
        self.trouble: str | None = None
        self._root = f"{root.rstrip('/')}/v{schema}"

    def read(self, kind: str, key: str) -> bytes | None:
        """The bytes of an entry; None where there is none, or it can't be reached."""
        if self.trouble is not None or kind in LOCAL_KINDS:
            return None
        try:
            data: bytes = self._files.cat_file(self._path(kind, key))
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - each protocol has errors of its own
            self._give_up("read", error)
            return None
        return data

    def write(self, kind: str, key: str, data: bytes) -> None:
        """Add an entry, or replace one."""
        if self.trouble is not None or kind in LOCAL_KINDS:
            return
        path = self._path(kind, key)
        temporary = f"{self._root}/{_SCRATCH}/{key}-{secrets.token_hex(8)}"
        try:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.makedirs(f"{self._root}/{_SCRATCH}", exist_ok=True)
            self._files.pipe_file(temporary, data)
            self._files.mv(temporary, path)
        except Exception as error:  # noqa: BLE001 - each protocol has errors of its own
            self._give_up("written", error)
            with suppress(Exception):
                self._files.rm_file(temporary)

    def remove(self, kind: str, key: str) -> None:
        """Remove an entry that is none."""
        with suppress(Exception):
            self._files.rm_file(self._path(kind, key))

    def _path(self, kind: str, key: str) -> str:
        return f"{self._root}/{kind}/{key[:2]}/{key}"

    def _give_up(self, what: str, error: Any) -> None:
        first = (str(error) or type(error).__name__).splitlines()[0]
        self.trouble = f"the cache {self.url} can't be {what}: {first}"
