"""Files that come from anywhere: only regular ones are read, and no more of them than asked."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lprc.core.files.regular import open_regular, read_regular


def _fifo(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _link(folder):
    (folder / "link").symlink_to(_fifo(folder))
    return folder / "link"


@pytest.mark.timeout(20)  # reading a FIFO that nobody writes to never ends
@pytest.mark.parametrize(
    ("special", "kind"),
    [
        (_fifo, "is a FIFO"),
        (_link, "is a FIFO"),
        (lambda folder: Path("/dev/zero"), "is a device"),
        (lambda folder: folder, "is a folder"),
    ],
    ids=["FIFO", "link to one", "device", "folder"],
)
def test_special_files_are_refused_before_reading(special, kind, tmp_path):
    with pytest.raises(OSError, match=f"{kind}, not a regular file"):
        open_regular(special(tmp_path))


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is shorter than that of a test's folder
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("listening")
    with pytest.raises(OSError, match="listening"):
        read_regular(tmp_path / "listening")


def test_no_handle_stays_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(OSError, match="folder"):
            open_regular(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("limit", [None, 5, 6])
def test_all_bytes_within_the_limit(limit, tmp_path):
    (tmp_path / "file").write_bytes(b"bytes")
    assert read_regular(tmp_path / "file", limit=limit) == b"bytes"


@pytest.mark.parametrize("limit", [0, 4])
def test_one_byte_more_is_refused(limit, tmp_path):
    (tmp_path / "file").write_bytes(b"bytes")
    with pytest.raises(ValueError, match=f"larger than {limit} bytes"):
        read_regular(tmp_path / "file", limit=limit)
