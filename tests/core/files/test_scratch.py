"""Temporary files: kept while their process lives, swept when it is gone."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from lprc.core.errors import OutputError
from lprc.core.files import atomic
from lprc.core.files.atomic import atomic_folder
from lprc.core.files.scratch import scratch_file, scratch_folder, sweep


def test_abandoned_files_and_folders_are_swept(tmp_path):
    (tmp_path / ".lprc-a.tmp").write_text("")
    (tmp_path / ".lprc-b.tmp").mkdir()
    (tmp_path / ".lprc-b.tmp" / "x").write_text("")
    kept = [".lprc-c.new", ".lprc-d.tmp.old", "e.tmp", ".lprc-f"]
    for name in kept:
        (tmp_path / name).write_text("")
    (tmp_path / ".lprc-link.tmp").symlink_to(tmp_path / "e.tmp")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, ".lprc-link.tmp"])


def test_what_is_in_use_stays(tmp_path):
    with scratch_file(tmp_path) as file, scratch_folder(tmp_path) as folder:
        sweep(tmp_path)
        assert file.is_file()
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_swept_where_files_have_no_locks(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / ".lprc-a.tmp").write_text("")
    with scratch_folder(tmp_path) as folder:
        assert folder.suffix == ".new"
    assert [path.name for path in tmp_path.iterdir()] == [".lprc-a.tmp"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_an_earlier_folder_is_replaced(tmp_path, monkeypatch, exchanges):
    if not exchanges:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for content in ("1", "2"):
        with atomic_folder(tmp_path / "f", may_replace=lambda _: True) as temporary:
            (temporary / content).write_text("")
    assert [path.name for path in tmp_path.rglob("*")] == ["f", "2"]


def test_what_a_link_names_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for content in ("1", "2"):
        with atomic_folder(tmp_path / "link", may_replace=lambda _: True) as temporary:
            (temporary / content).write_text("")
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_the_umask_is_read_as_it_is(monkeypatch):
    before = os.umask(0o027)
    try:
        assert atomic._umask() == 0o027
        monkeypatch.setattr(atomic.Path, "read_text", lambda *_, **__: "no such line")
        assert atomic._umask() == 0o027
    finally:
        assert os.umask(before) == 0o027


def test_a_folder_of_others_that_came_meanwhile_stays(tmp_path):
    def write() -> None:
        with atomic_folder(tmp_path / "f", may_replace=lambda _: False):
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "mine").write_text("")

    with pytest.raises(OutputError, match="did not write"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["f", "mine"]


def test_what_was_made_and_never_claimed_is_swept_when_it_is_old_and_empty(tmp_path):
    (tmp_path / ".lprc-old.new").write_text("")
    (tmp_path / ".lprc-folder.new").mkdir()
    kept = [".lprc-full.new", ".lprc-young.new", ".lprc-locked.new"]
    for name, content in zip(kept, ("x", "", ""), strict=True):
        (tmp_path / name).write_text(content)
    for name in (".lprc-old.new", ".lprc-folder.new", ".lprc-full.new", ".lprc-locked.new"):
        os.utime(tmp_path / name, (1, 1))
    with (tmp_path / ".lprc-locked.new").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        sweep(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept[:2])
