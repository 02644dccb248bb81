"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lprc.core.errors import OutputError
from lprc.core.files.atomic import atomic_file, atomic_folder, atomic_pair


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a").exists()
        assert temporary.parent == tmp_path
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def write() -> None:
        with atomic_file(tmp_path / "a") as temporary:
            temporary.write_text("new")
            raise error

    with pytest.raises(error):
        write()
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_file_has_the_usual_permissions(tmp_path):
    with atomic_file(tmp_path / "a") as temporary:
        temporary.write_text("new")
    (tmp_path / "usual").write_text("new")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "usual")]
    assert modes[0] == modes[1]


def test_a_name_as_long_as_names_can_be(tmp_path):
    with atomic_file(tmp_path / ("x" * 255)) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["x" * 255]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a folder"),
        ("missing/a", "No such file or directory"),
        ("file/a", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/dev/null", "is not a regular file"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, message):
    (tmp_path / "file").write_text("")

    def write() -> None:
        with atomic_file(tmp_path / name) as temporary:
            temporary.write_text("new")

    with pytest.raises(OutputError, match=message):
        write()
    assert names(tmp_path) == ["file"]
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"), atomic_file(tmp_path / "a"):
        pass


def test_a_pair_appears_together(tmp_path):
    path, companion = tmp_path / "a", tmp_path / "a.data"
    with atomic_pair(path, companion) as temporaries:
        assert [each.name for each in temporaries] == ["a", "a.data"]
        for each in temporaries:
            each.write_text(each.name)
    assert (path.read_text(), companion.read_text()) == ("a", "a.data")
    assert names(tmp_path) == ["a", "a.data"]


def test_half_a_pair_does_not_appear(tmp_path):
    def write() -> None:
        with atomic_pair(tmp_path / "a", tmp_path / "a.data") as (first, _):
            first.write_text("new")

    with pytest.raises(OutputError):
        write()
    assert names(tmp_path) == []


def never(_: Path) -> bool:
    return False


def test_a_folder_appears_with_its_parents(tmp_path):
    with atomic_folder(tmp_path / "p" / "f", may_replace=never) as temporary:
        (temporary / "a").write_text("new")
        assert names(tmp_path / "p") == [temporary.name]
    assert names(tmp_path / "p") == ["f"]
    assert names(tmp_path / "p" / "f") == ["a"]


def test_an_empty_folder_and_one_of_ours_are_replaced(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    for content, may_replace in (("1", never), ("2", lambda path: (path / "1").is_file())):
        with atomic_folder(folder, may_replace=may_replace) as temporary:
            (temporary / content).write_text("")
        assert names(folder) == [content]
    assert names(tmp_path) == ["f"]


def test_a_folder_of_others_is_refused_before_the_work(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(OutputError, match="lprc did not write") as caught:
        atomic_folder(tmp_path, may_replace=never).__enter__()
    assert caught.value.hint
    assert names(tmp_path) == ["mine"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "f").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        atomic_folder(tmp_path / "f", may_replace=never).__enter__()


@pytest.mark.parametrize("existed", [False, True])
def test_a_failure_leaves_the_folder_as_it_was(tmp_path, existed):
    folder = tmp_path / "f"
    if existed:
        folder.mkdir()
        (folder / "old").write_text("")

    def write() -> None:
        with atomic_folder(folder, may_replace=lambda _: True) as temporary:
            (temporary / "new").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert names(tmp_path) == (["f"] if existed else [])
    assert not existed or names(folder) == ["old"]
