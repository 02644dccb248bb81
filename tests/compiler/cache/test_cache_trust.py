"""The cache trusts nothing: what was forged, moved or put there by others is a miss."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from lprc.cli import main
from lprc.compiler.cache import location
from lprc.compiler.cache.store import Store, Trust
from lprc.core.errors import UsageError

KEY, OTHER = "ab" + "0" * 62, "cd" + "0" * 62
SECRET = b"0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", 1 << 20)


def file_of(store: Store, kind: str, key: str) -> Path:
    return store.folder / "v2" / kind / key[:2] / key


def forge(path: Path, change) -> None:
    """Rewrite an entry under a right digest; `change` takes header line and payload."""
    text, payload = path.read_bytes().split(b"\n", 1)[1].split(b"\n", 1)
    document = json.loads(text)
    payload = change(document["header"], payload) or payload
    body = json.dumps(document, separators=(",", ":")).encode() + b"\n" + payload
    path.write_bytes(b"lprc-cache %s\n%s" % (hashlib.sha256(body).hexdigest().encode(), body))


def test_an_entry_under_another_name_is_a_miss(store):
    store.write("notes", KEY, {"a": 1})
    for kind, key in (("notes", OTHER), ("more", KEY)):
        path = file_of(store, kind, key)
        path.parent.mkdir(parents=True)
        shutil.copy(file_of(store, "notes", KEY), path)
        assert store.read(kind, key) is None
        assert not path.exists()
        assert "an entry for something else" in store.refusals[-1]
    assert store.read("notes", KEY) is not None


BAD = {
    "sources": [{}, {"digest": 1}, {"digest": "../x"}],
    "weights": [{"files": "w"}, {"files": ["/dev/zero"]}, {"files": ["../w"]}, {"files": [1]}],
    "pass": [
        {},
        {"after": KEY, "rewrites": [], "skips": [1]},
        {"after": "x", "rewrites": [], "skips": []},
        {"after": KEY, "rewrites": [["a", "b", [2], "c"]], "skips": []},
    ],
    "model": [
        {},
        {"parts": [["model", 3]], "kept": {}},
        {"parts": [["model", -1], ["reference", 1]], "kept": {}},
        {"parts": [["model", 0]], "kept": {"a": ["b"]}},
        {"parts": [["model", 0]], "kept": {"a": [1 << 80]}},
        {"parts": [["other", 0]], "kept": {}},
        {"parts": [["model", 0.0]], "kept": {}},
    ],
    "emitted": [
        {"parts": [["../x", 0]], "files": [], "report": {}, "warnings": []},
        {"parts": [["inputs/../x", 0]], "files": [], "report": {}, "warnings": []},
        {"parts": [], "files": ["/etc/passwd"], "report": {}, "warnings": []},
        {"parts": [], "files": [], "report": [], "warnings": []},
        {"parts": [], "files": [], "report": {"operators": {"a": 1}}, "warnings": []},
        {"parts": [], "files": [], "report": {}, "warnings": [{}]},
    ],
    "artefact": [{}, {"parts": [], "said": {}}],
}


@pytest.mark.parametrize(("kind", "header"), [(k, h) for k, rows in BAD.items() for h in rows])
def test_what_is_not_as_entries_are_is_a_miss(store, kind, header):
    store.write(kind, KEY, header)
    assert store.read(kind, KEY) is None
    assert "not what such entries are" in store.refusals[0]
    assert not file_of(store, kind, KEY).exists()


@pytest.mark.parametrize("text", [b"[]", b"{}", b"NaN", b"[" * 100_000, b'{"header": []}', b"\xff"])
def test_a_header_that_is_none_is_a_miss(store, text):
    store.write("notes", KEY, {})
    body = text + b"\n"
    digest = hashlib.sha256(body).hexdigest().encode()
    file_of(store, "notes", KEY).write_bytes(b"lprc-cache %s\n%s" % (digest, body))
    assert store.read("notes", KEY) is None


def test_links_and_special_files_are_not_read(store, tmp_path):
    store.write("notes", KEY, {"a": 1})
    path = file_of(store, "notes", KEY)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert store.read("notes", KEY) is None
    assert (tmp_path / "elsewhere").exists()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert store.read("notes", KEY) is None
    store.write("notes", KEY, {"a": 1})
    path.parent.rename(tmp_path / "folder")
    path.parent.symlink_to(tmp_path / "folder")
    assert store.read("notes", KEY) is None
    store.write("notes", KEY, {"a": 2})
    assert "reached by a link" in (store.trouble or "")
    assert len(list((tmp_path / "folder").iterdir())) == 1


@pytest.mark.parametrize("level", ["v2", "v2/notes", "v2/notes/ab", "v2/tmp"])
def test_neither_prune_nor_clear_follows_links(store, tmp_path, level):
    outside = tmp_path / "outside"
    for inner in ("notes/ab", "ab", "tmp", ""):
        (outside / inner).mkdir(parents=True, exist_ok=True)
        (outside / inner / KEY).write_text("mine")
        os.utime(outside / inner / KEY, (1, 1))
    before = sorted(outside.rglob("*"))
    link = store.folder / level
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    assert store.usage().size_bytes == 0
    store.trim(0)
    store.clear()
    assert sorted(outside.rglob("*")) == before


def test_entries_of_other_users_are_read_only_if_asked(store, monkeypatch):
    store.write("notes", KEY, {"a": 1})
    someone_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: someone_else)
    assert store.read("notes", KEY) is None
    assert "LPRC_CACHE_SHARED" in store.refusals[0]
    shared = Store(store.folder, 1 << 20, Trust(others=True))
    assert shared.read("notes", KEY) is not None


def test_a_shared_entry_can_be_read_by_others(store):
    shared = Store(store.folder, 1 << 20, Trust(others=True))
    shared.write("notes", KEY, {})
    assert file_of(store, "notes", KEY).stat().st_mode & 0o777 == 0o644


def test_with_a_secret_only_signed_entries_are_read(store):
    signed = Store(store.folder, 1 << 20, Trust(secret=SECRET))
    store.write("notes", KEY, {"a": 1})
    assert signed.read("notes", KEY) is None
    signed.write("notes", KEY, {"a": 1})
    assert signed.read("notes", KEY) is not None
    assert Store(store.folder, 1, Trust(secret=SECRET + b"x")).read("notes", KEY) is None


def test_where_the_secret_comes_from(monkeypatch, tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    monkeypatch.setenv("LPRC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LPRC_CACHE_KEY_FILE", str(file))
    location.open_store().write("notes", KEY, {})
    monkeypatch.setenv("LPRC_CACHE_KEY", SECRET.decode())
    with pytest.raises(UsageError, match="LPRC_CACHE_KEY is given too"):
        location.open_store()
    monkeypatch.delenv("LPRC_CACHE_KEY_FILE")
    assert location.open_store().read("notes", KEY) is not None
    monkeypatch.setenv("LPRC_CACHE_KEY", "short")
    with pytest.raises(UsageError, match="fewer than 16 bytes"):
        location.open_store()
    monkeypatch.delenv("LPRC_CACHE_KEY")
    monkeypatch.setenv("LPRC_CACHE_KEY_FILE", str(tmp_path / "no"))
    with pytest.raises(UsageError, match="can't be read"):
        location.open_store()


# Whole compiles


@pytest.fixture
def compile_model(tmp_path, monkeypatch, capsys):
    model = tmp_path / "m.onnx"
    model.write_bytes((Path(__file__).parents[2] / "fuzz/reproducers/z_ctrl.onnx").read_bytes())
    monkeypatch.setenv("LPRC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LPRC_NO_CACHE", raising=False)

    def run(*more: str) -> str:
        out = tmp_path / "work" / "out"
        shutil.rmtree(out, ignore_errors=True)
        pipeline = ["--passes", "convert-opset,eliminate-identity,fold-constants"]
        with pytest.raises(SystemExit) as ended:
            main(["compile", str(model), "--target", "onnx", "-o", str(out), *pipeline, *more])
        shown = capsys.readouterr()
        assert ended.value.code == 0, shown.err
        assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "cache", "work"}
        assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
        assert main_verifies(out)
        return shown.out + shown.err

    return run


def main_verifies(out: Path) -> bool:
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(out), "-q"])
    return ended.value.code == 0


def escaped(header, payload):
    header["parts"] = [["../../ESCAPED.onnx", size] for _, size in header["parts"][:1]]
    return payload[: header["parts"][0][1]]


def altered(header, payload):
    return payload[:-1] + bytes([payload[-1] ^ 1])


def renamed(header, payload):
    header["parts"][0][0] = "other.onnx"


def said_otherwise(header, payload):
    header["said"]["document"]["warnings"] = [{"a": 1}]


@pytest.mark.parametrize("change", [escaped, altered, renamed, said_otherwise])
def test_a_forged_artefact_is_a_miss(compile_model, tmp_path, change):
    assert "from the cache" not in compile_model()
    assert "from the cache" in compile_model()
    (entry,) = tmp_path.glob("cache/v2/artefact/*/*")
    forge(entry, change)
    assert "from the cache" not in compile_model()


def test_a_forged_model_is_compiled_again_and_said_so(compile_model, tmp_path):
    compile_model()
    for entry in tmp_path.glob("cache/v2/artefact/*/*"):
        entry.unlink()
    for entry in tmp_path.glob("cache/v2/model/*/*"):
        forge(entry, lambda header, payload: b"\xff" * len(payload))
    assert "a model in the cache can't be read" in compile_model("-v")
