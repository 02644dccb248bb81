"""A cache behind the cache: what is found there is checked, and what can't be reached is no error."""

from __future__ import annotations

import secrets

import pytest

from lprc.compiler.cache.location import open_store
from lprc.compiler.cache.remote import RemoteEntries
from lprc.compiler.cache.store import SCHEMA, Store, Trust
from lprc.core.errors import MissingDependencyError, UsageError

fsspec = pytest.importorskip("fsspec")

KEY = "ab" * 32
HEADER = {"files": ["weights.bin"]}
SECRET = b"0123456789abcdef"


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path):
    if request.param == "file":
        return f"file://{tmp_path / 'bucket'}"
    return f"memory://bucket-{secrets.token_hex(8)}"


def _store(folder, url, secret=SECRET):
    return Store(folder, 1 << 20, Trust(secret=secret), RemoteEntries(url, SCHEMA))


def _object(url):
    files, root = fsspec.core.url_to_fs(url)
    return files, f"{root}/v{SCHEMA}/weights/{KEY[:2]}/{KEY}"


def test_what_one_machine_made_another_finds_and_keeps(tmp_path, url):
    one, two = _store(tmp_path / "one", url), _store(tmp_path / "two", url)
    assert two.read("weights", KEY) is None
    one.write("weights", KEY, HEADER)
    assert two.read("weights", KEY).header == HEADER
    files, path = _object(url)
    assert files.find(path.partition("/weights/")[0]) == [path]  # nothing half-written beside it
    files.rm_file(path)
    assert two.read("weights", KEY).header == HEADER
    assert (one.trouble, two.trouble, two.refusals) == (None, None, [])


@pytest.mark.parametrize("how", ["torn", "altered", "empty", "moved", "unsigned"])
def test_what_is_damaged_is_a_miss_and_is_made_again(tmp_path, url, how):
    one, two = _store(tmp_path / "one", url), _store(tmp_path / "two", url)
    one.write("weights", KEY, HEADER)
    files, path = _object(url)
    data = files.cat_file(path)
    if how == "unsigned":
        _store(tmp_path / "other", url, None).write("weights", KEY, HEADER)
    elif how == "moved":
        one.write("weights", "cd" * 32, {"files": ["evil.bin"]})
        other = path.replace(KEY, "cd" * 32).replace("/ab/", "/cd/")
        files.pipe_file(path, files.cat_file(other))
    else:
        bad = {"torn": data[:-4], "altered": data.replace(b"weights.bin", b"weights.bon")}
        files.pipe_file(path, bad.get(how, b""))
    assert two.read("weights", KEY) is None
    assert len(two.refusals) == 1
    assert not files.exists(path)
    two.write("weights", KEY, HEADER)
    assert _store(tmp_path / "three", url).read("weights", KEY).header == HEADER


def test_what_can_not_be_reached_is_asked_once(tmp_path, monkeypatch):
    store = _store(tmp_path / "one", "memory://bucket")
    asked = []

    def refuse(*_):
        asked.append(1)
        raise ConnectionError("no route to host")

    monkeypatch.setattr(type(store.remote._files), "cat_file", refuse)
    assert [store.read("weights", KEY), store.read("weights", "cd" * 32)] == [None, None]
    assert len(asked) == 1
    assert store.trouble == "the cache memory://bucket can't be read: no route to host"
    store.write("weights", KEY, HEADER)
    assert store.read("weights", KEY).header == HEADER


def test_places_of_this_machine_stay_here(tmp_path, url):
    one, two = _store(tmp_path / "one", url), _store(tmp_path / "two", url)
    one.write("sources", KEY, {"digest": "0" * 64})
    assert one.read("sources", KEY) is not None
    assert two.read("sources", KEY) is None


def test_it_has_to_be_signed_or_trusted(tmp_path, monkeypatch):
    monkeypatch.setenv("LPRC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("LPRC_CACHE_REMOTE", "memory://bucket")
    for name in ("LPRC_CACHE_KEY", "LPRC_CACHE_KEY_FILE", "LPRC_CACHE_SHARED"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="whoever wrote them") as caught:
        open_store()
    assert "LPRC_CACHE_KEY_FILE" in caught.value.hint
    monkeypatch.setenv("LPRC_CACHE_SHARED", "1")
    assert open_store().remote.url == "memory://bucket"
    monkeypatch.setenv("LPRC_CACHE_REMOTE", "nonsense://bucket")
    with pytest.raises(UsageError, match="nonsense"):
        open_store()


def test_without_fsspec(monkeypatch):
    monkeypatch.setattr("lprc.compiler.cache.remote.is_installed", lambda _: False)
    with pytest.raises(MissingDependencyError, match="fsspec is not installed"):
        RemoteEntries("s3://bucket", SCHEMA)
