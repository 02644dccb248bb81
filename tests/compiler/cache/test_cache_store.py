"""The store: what is torn is gone, what is old goes first, and many may write at once."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from lprc.compiler.cache import location
from lprc.compiler.cache.entry_format import join, split
from lprc.compiler.cache.store import Store
from lprc.core.errors import UsageError

KEY = "ab" + "0" * 62


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", 1 << 20)


def file_of(store: Store, kind: str, key: str) -> Path:
    (path,) = store.folder.glob(f"v*/{kind}/*/{key}")
    return path


def test_what_is_written_is_read(store):
    assert store.read("notes", KEY) is None
    store.write("notes", KEY, {"a": ["ü", 1.5, None]}, b"\n\x00bytes\n")
    entry = store.read("notes", KEY)
    assert entry is not None
    assert entry.header == {"a": ["ü", 1.5, None]}
    assert entry.payload == b"\n\x00bytes\n"
    assert store.read("other", KEY) is None
    assert store.trouble is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data + b"x",
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
        lambda data: data.replace(b'"a"', b'"b"'),
        lambda data: b"lprc-cache " + b"0" * 64 + data[data.index(b"\n") :],
    ],
)
def test_a_damaged_entry_is_removed(store, damage):
    store.write("notes", KEY, {"a": 1}, b"payload")
    path = file_of(store, "notes", KEY)
    path.write_bytes(damage(path.read_bytes()))
    assert store.read("notes", KEY) is None
    assert not path.exists()
    store.write("notes", KEY, {"a": 1}, b"payload")
    assert store.read("notes", KEY) is not None


def test_the_longest_unused_go_first(tmp_path):
    store = Store(tmp_path / "cache", 5000)
    keys = [f"{number:064x}" for number in range(10)]
    for number, key in enumerate(keys):
        store.write("other", key, {}, bytes(900))
        os.utime(file_of(store, "other", key), (number, number))
    assert store.read("other", keys[0]) is not None  # used now, so it is the youngest
    store.close()
    left = [key for key in keys if store.read("other", key) is not None]
    assert left == [keys[0], *keys[-3:]]
    assert store.usage().size_bytes <= 5000


def test_within_its_limit_nothing_goes(store):
    store.write("other", KEY, {}, bytes(1000))
    store.close()
    assert store.usage().entries == {"other": 1}


def test_clear_takes_only_what_is_ours(store):
    store.write("other", KEY, {}, b"1")
    other = store.folder / "notes.txt"
    other.write_text("mine")
    assert store.clear() > 0
    assert store.usage().size_bytes == 0
    assert other.read_text() == "mine"


def test_what_killed_writers_left_goes(store):
    store.write("other", KEY, {}, b"1")
    scratch = next(store.folder.glob("v*/tmp"))
    old, new = scratch / "old", scratch / "new"
    for path in (old, new):
        path.write_bytes(b"torn")
    os.utime(old, (1, 1))
    store.trim()
    assert not old.exists()
    assert new.exists()


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "cache").write_text("a file")
    store = Store(tmp_path / "cache", 1 << 20)
    store.write("other", KEY, {}, b"1")
    assert "can't be written" in (store.trouble or "")
    assert store.read("other", KEY) is None


def write_many(arguments: tuple[Path, int]) -> int:
    folder, seed = arguments
    store = Store(folder, 40_000)
    bad = 0
    for number in range(150):
        key = f"{(number * 7 + seed) % 50:064x}"
        entry = store.read("other", key)
        if entry is not None and entry.payload != key.encode() * 30:
            bad += 1
        store.write("other", key, {"key": key}, key.encode() * 30)
        if number % 20 == 0:
            store.close()
    return bad + (store.trouble is not None)


def test_many_write_and_trim_at_once(tmp_path):
    with ProcessPoolExecutor(max_workers=4) as pool:
        jobs = [(tmp_path / "cache", seed) for seed in range(4)]
        assert list(pool.map(write_many, jobs)) == [0] * 4


def test_join_and_split():
    parts = {"a": b"12", "b": b"", "c": b"3"}
    table, payload = join(parts)
    assert split(table, payload) == parts


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("1kB", 1000), ("1KiB", 1024), ("2 GiB", 2 << 30), ("1.5M", 1_500_000)],
)
def test_sizes(text, size):
    assert location.parse_size(text, "here") == size


@pytest.mark.parametrize("text", ["", "-1", "1XB", "GiB", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="is no size"):
        location.parse_size(text, "here")


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("LPRC_CACHE_DIR", str(tmp_path / "mine"))
    assert location.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("LPRC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert location.cache_folder() == tmp_path / "lprc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert location.cache_folder().is_absolute()


def test_it_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("LPRC_NO_CACHE", "1")
    assert location.store_in_use() is None
    monkeypatch.setenv("LPRC_NO_CACHE", "0")
    assert location.store_in_use() is not None
    assert location.store_in_use(off=True) is None
