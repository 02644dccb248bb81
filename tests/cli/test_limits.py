"""What no one should hand over: one line, the documented exit code, and nothing lost."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import socket
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lprc.cli import main, root

MODEL = Path(__file__).parents[1] / "fuzz" / "reproducers" / "r05_negdim_input.onnx"


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(MODEL, "m.onnx")
    return Path("m.onnx")


@pytest.fixture
def refused(capsys):
    def run(code: int, text: str, *arguments: str | Path) -> None:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        err = capsys.readouterr().err
        assert ended.value.code == code, err
        assert text in err
        assert "Traceback" not in err
        assert err.count("\n") <= (4 if code == 2 else 2)

    return run


def compiling(*more: str) -> list[str]:
    return ["compile", "m.onnx", "--target", "onnx", *more]


@pytest.mark.parametrize(
    ("out", "code", "text"),
    [
        ("", 2, "it is empty"),
        (".", 9, "has no name of its own"),
        ("/", 9, "has no name of its own"),
        ("..", 9, "has no name of its own"),
        ("a" * 300, 9, "more than 255 bytes"),
    ],
)
def test_outputs_without_a_name(model, refused, out, code, text):
    refused(code, text, *compiling("-o", out))
    refused(code, text, "opt", model, "--passes", "", "-o", out)


@pytest.mark.parametrize("seed", ["-1", str(1 << 80), "1.5"])
def test_seeds(model, refused, seed):
    refused(2, "--seed", *compiling("-o", "out", "--seed", seed))


@pytest.mark.parametrize(
    "arguments",
    [
        compiling("-o", "out", "--report", "m.onnx"),
        compiling("-o", "out", "--depfile", "./m.onnx"),
        compiling("-o", "m.onnx"),
        compiling("-o", "out", "--report", "a.html", "--depfile", "a.html"),
        ["opt", "m.onnx", "--passes", "", "-o", "m.onnx"],
        ["diff", "m.onnx", "m.onnx", "--html", "m.onnx"],
    ],
)
def test_outputs_that_are_inputs(model, refused, arguments):
    before = model.read_bytes()
    refused(2 if arguments[0] == "diff" else 9, "would be lost", *arguments)
    assert model.read_bytes() == before
    assert [path.name for path in Path().iterdir()] == ["m.onnx"]


@pytest.mark.parametrize(
    ("name", "code", "arguments"),
    [
        ("p.onnx", 3, ["compile", "p.onnx", "--target", "onnx", "-o", "out"]),
        ("p.onnx", 3, ["inspect", "p.onnx"]),
        ("p.onnx", 3, ["bench", "p.onnx"]),
        ("p.npz", 8, ["opt", "m.onnx", "--passes", "", "-o", "y.onnx", "--inputs", "p.npz"]),
        ("p.toml", 8, compiling("-o", "out", "--task", "p.toml", "--calib", "d")),
        ("d/a.png", 8, compiling("-o", "out", "--calib", "d")),
        ("d/manifest.json", 3, ["bench", "d"]),
        ("d/manifest.json", 3, ["verify", "d"]),
        ("p.toml", 2, ["build", "--project", "p.toml"]),
        ("p.pth", 8, ["export", "--weights", "p.pth", "-o", "y.onnx"]),
    ],
)
@pytest.mark.timeout(120)
def test_fifos_are_not_waited_for(model, refused, name, code, arguments):
    Path("d").mkdir()
    os.mkfifo(name)
    refused(code, Path(name).name if "d/" not in name else "d", *arguments)


def test_devices_and_sockets_are_refused(model, refused):
    refused(3, "regular file", "compile", "/dev/zero", "--target", "onnx", "-o", "out")
    run = ["opt", model, "--passes", "", "-o", "y.onnx", "--inputs"]
    refused(8, "is a device", *run, "/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.npz")
        refused(8, "s.npz", *run, "s.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=" + "[" * 100_000, "nested too deeply"),
        (".".join(["a"] * 100_000) + "=1", "more than 64 parts"),
        ("a=" + "9" * 5000, "not TOML"),
        ("a=" + "{b=" * 70 + "1" + "}" * 70, "nested too deeply"),
        ("#" * (1 << 21), "larger than"),
    ],
)
def test_toml_has_limits(model, refused, text, message):
    Path("lprc.toml").write_text(text)
    refused(2, message, "build")


def test_brackets_in_strings_and_comments_do_not_count(model, refused):
    quoted = "['''" + "[" * 100 + "''', '" + "{" * 100 + '\', "\\"' + "[" * 100 + '"]'
    Path("lprc.toml").write_text(f"# {'[' * 100}\nlprc = {quoted}\n")
    refused(2, "lprc.toml", "build")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "9" * 5000 + "}", "NaN", "\xff"])
def test_json_has_limits(model, refused, text):
    Path("d").mkdir()
    Path("d/manifest.json").write_text(text, encoding="latin-1")
    refused(3, "manifest.json", "bench", "d")


def test_a_packed_model_has_limits(model, refused):
    Path("z.onnx.gz").write_bytes(gzip.compress(bytes(300 << 20)))
    refused(3, "holds more than", "inspect", "z.onnx.gz")


def npz(path: str, shape: tuple[int, ...], content: bytes) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content
        )


@pytest.mark.parametrize(
    ("shape", "content", "message"),
    [((10**12,), b"", "promises 4000000000000 bytes"), ((1,), bytes(300 << 20), "would become")],
)
def test_arrays_have_limits(model, refused, shape, content, message):
    npz("x.npz", shape, content)
    refused(8, message, "opt", model, "--passes", "", "-o", "y.onnx", "--inputs", "x.npz")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError(), "error: not enough memory"),
        (OSError(24, "Too many open files", "x"), "error: x: Too many open files"),
        (PermissionError(13, "Permission denied", b"a\xff"), r"error: a\udcff: Permission denied"),
    ],
)
def test_what_the_machine_refuses(monkeypatch, refused, error, text):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(root.root, "main", fail)
    refused(71, text, "passes")


def test_names_that_are_not_utf8(model, refused):
    refused(3, r"a\udcff.onnx: no such file", "inspect", "a\udcff.onnx")
    refused(2, r"\udcff", *compiling("-o", "out", "--passes", "a\udcff"))
    refused(3, "File name too long", "compile", "m" * 5000, "--target", "onnx", "-o", "out")


@pytest.mark.parametrize("files", [8, 16])
def test_few_open_files(model, files):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    command = [sys.executable, "-m", "lprc", *compiling("-o", "out", "--no-cache")]
    environment = {**os.environ, "PYTHONPATH": str(MODEL.parents[3])}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=limit, env=environment
    )
    assert done.returncode in (0, 9, 71), done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
