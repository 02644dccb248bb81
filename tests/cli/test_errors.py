"""Bad input ends in one clear line, the documented exit code, and no file."""

from __future__ import annotations

import json
import subprocess
import sys

import onnx
import pytest

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(64)


def check(done, code, *texts):
    assert done.returncode == code, done.stderr
    for text in texts:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("error: ") == 1 or code == 2


@pytest.mark.parametrize("command", ["opt", "compile"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"hello, world", "not an ONNX file"),
        (JPEG, "not an ONNX file"),
    ],
)
def test_no_model(lprc, tmp_path, command, content, message):
    model, out = tmp_path / "model.onnx", tmp_path / "out"
    if content is not None:
        model.write_bytes(content)
    options = ["--passes", "fold-bn"] if command == "opt" else ["--target", "onnx"]
    check(lprc(command, model, *options, "-o", out, check=False), 3, "model.onnx", message)
    assert not out.exists()


def test_truncated(lprc, small, tmp_path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(small.read_bytes()[:-40])
    check(
        lprc("compile", cut, "--target", "onnx", "-o", tmp_path / "o", check=False), 3, "cut.onnx"
    )


def test_unknown_operator(lprc, small, tmp_path):
    model = onnx.load(small)
    model.graph.node[2].op_type = "Frobnicate"
    model.graph.node[2].name = "the_node"
    onnx.save(model, small)
    done = lprc("compile", small, "--target", "onnx", "-o", tmp_path / "o", check=False)
    check(done, 3, "Frobnicate", "the_node")


def test_unknown_domain_is_illegal_for_a_runtime(lprc, small, tmp_path):
    model = onnx.load(small)
    model.graph.node[2].domain = "acme"
    model.graph.node[2].name = "the_node"
    model.opset_import.add(domain="acme", version=1)
    onnx.save(model, small)
    out = tmp_path / "o"
    for target in ("ort-fp32", "ov-fp32"):
        done = lprc("compile", small, "--target", target, "-o", out, check=False)
        check(done, 4, "the_node", "acme", "hint: ")
        assert not out.exists()
    lprc("compile", small, "--target", "onnx", "-o", out, "--emit", "onnx")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["opt", "MODEL", "--passes", "fold-bm", "-o", "OUT"], "did you mean 'fold-bn'?"),
        (["opt", "MODEL", "--passes", "fold-bn,,", "-o", "OUT"], "^"),
        (["opt", "MODEL", "--passes", "set-batch{batch=0}", "-o", "OUT"], "at least 1"),
        (["compile", "MODEL", "--target", "ov-fp23", "-o", "OUT"], "did you mean"),
        (["compile", "MODEL", "--target", "onnx"], "Missing option"),
        (["complie", "MODEL"], "Did you mean 'compile'?"),
        (["bench", "MODEL@tvm3"], "unknown runtime 'tvm3'"),
    ],
)
def test_usage(lprc, small, tmp_path, arguments, message):
    given = [
        text.replace("MODEL", str(small)).replace("OUT", str(tmp_path / "out"))
        for text in arguments
    ]
    check(lprc(*given, check=False), 2, message)
    assert not (tmp_path / "out").exists()


def test_label_outside_the_alphabet(lprc, bundled, plates, tmp_path):
    image = next(path for path in plates.iterdir() if path.suffix == ".jpg")
    (tmp_path / "Ж12.jpg").write_bytes(image.read_bytes())
    check(lprc("eval", bundled, "--data", tmp_path, check=False), 8, "Ж12.jpg", "'Ж'")


def test_unreadable_image(lprc, bundled, tmp_path):
    (tmp_path / "ABC123.jpg").write_bytes(JPEG)
    check(lprc("eval", bundled, "--data", tmp_path, check=False), 8, "ABC123.jpg", "can't be read")


def test_wrong_checkpoint(lprc, tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"not a checkpoint")
    done = lprc("export", "--weights", weights, "-o", tmp_path / "o.onnx", check=False)
    check(done, 8, "weights.pth", "not a torch checkpoint")
    assert not (tmp_path / "o.onnx").exists()


def test_not_an_artefact(lprc, tmp_path):
    check(lprc("bench", tmp_path, check=False), 3, "no manifest.json in it")


def test_unwritable_output(lprc, small, tmp_path):
    out = tmp_path / "no" / "such" / "folder.onnx"
    check(lprc("opt", small, "--passes", "fold-bn", "-o", out, check=False), 9, "folder.onnx")


def test_debug_shows_the_traceback(lprc, tmp_path):
    done = lprc("opt", tmp_path / "no.onnx", "--passes", "", "-o", "x", "--debug", check=False)
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_missing_sdk_is_said_before_any_work(small, tmp_path):
    hide = "import sys; sys.modules['openvino'] = None; sys.argv[0] = 'lprc'"
    code = f"{hide}; from importlib import util; find = util.find_spec; util.find_spec = lambda name: None if name == 'openvino' else find(name); from lprc.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "compile",
        str(small),
        "--target",
        "ov-fp32",
        "-o",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    check(done, 7, 'pip install "lprc[openvino]"', "--emit onnx")
    assert not (tmp_path / "o").exists()


def test_calibration_images_of_another_size(lprc, small, plates, tmp_path):
    out = tmp_path / "o"
    done = lprc("compile", small, "--target", "onnx", "-o", out, "--calib", plates, check=False)
    check(done, 8, "no built-in task has images of its size", "--task")
    assert not out.exists()


def test_a_source_that_does_not_run_is_not_measured(lprc, tmp_path, plates):
    from legacy_exports import legacy_export
    from models_support import random_lprnet

    onnx.save(legacy_export(random_lprnet(34), opset=13), tmp_path / "legacy.onnx")
    done = lprc(
        "compile", tmp_path / "legacy.onnx", "--target", "ort-fp32", "-o", tmp_path / "o",
        "--data", plates, "--json",
    )  # fmt: skip
    assert "note: not measured: " in done.stderr
    (row,) = json.loads(done.stdout)["comparison"]
    assert row["artefact"] == str(tmp_path / "o")
    assert 0 <= row["accuracy"] <= 1
