"""What tells two artefacts apart, byte by byte; lprc is not run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _folder_differences import SHOWN, differences

FILES = {
    "status": b"0\n",
    "stdout": b"ort-int8\nonnx\n",
    "out/lowered.onnx": bytes(range(64)),
    "out/manifest.json": json.dumps({"passes": [{"rewrites": 2}], "seed": 0}).encode(),
}


@pytest.fixture
def before(tmp_path):
    return written(tmp_path / "before", FILES)


def written(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_equal_folders_do_not_differ(before, tmp_path):
    assert differences(before, written(tmp_path / "after", FILES)) == []


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "out/lowered.onnx",
            bytes(range(63)) + b"x",
            "out/lowered.onnx: 64 -> 64 bytes, of which number 63 differs first",
        ),
        (
            "out/lowered.onnx",
            bytes(range(65)),
            "out/lowered.onnx: 64 -> 65 bytes, of which number 64 differs first",
        ),
        ("stdout", b"ort-int8\n", 'stdout: line 2: "onnx\\n" -> null'),
        ("stdout", b"ort-int8\nonnx", 'stdout: line 2: "onnx\\n" -> "onnx"'),
        ("stdout", b"ort-int8\nonnx\n\n", 'stdout: line 3: null -> "\\n"'),
        (
            "out/manifest.json",
            b'{"passes": [{"rewrites": 3}], "seed": 0}',
            "out/manifest.json: .passes[0].rewrites: 2 -> 3",
        ),
        (
            "out/manifest.json",
            b'{"passes": [{"rewrites": 2}], "seed": false}',
            "out/manifest.json: .seed: 0 -> false",
        ),
        (
            "out/manifest.json",
            b'{"passes": [], "sed": 0}',
            'out/manifest.json: .passes: [{"rewrites": 2}] -> []; .seed: only before; '
            ".sed: only after",
        ),
        (
            "out/manifest.json",
            b'{"seed": 0, "passes": [{"rewrites": 2}]}',
            "out/manifest.json: the same values, written otherwise",
        ),
        ("out/passes.json", b"[]", "out/passes.json: only after"),
    ],
)
def test_one_line_says_what_differs(before, tmp_path, name, content, line):
    after = written(tmp_path / "after", {**FILES, name: content})
    assert differences(before, after) == [line]


def test_a_missing_file_differs(before, tmp_path):
    after = written(tmp_path / "after", {**FILES})
    (after / "out" / "manifest.json").unlink()
    assert differences(before, after) == ["out/manifest.json: only before"]


def test_many_values_are_counted(tmp_path):
    before, after = (
        written(tmp_path / name, {"passes.json": json.dumps([value] * (SHOWN + 3)).encode()})
        for name, value in (("before", 1), ("after", 2))
    )
    (line,) = differences(before, after)
    assert line.count("1 -> 2") == SHOWN
    assert line.endswith("; and 3 more")
