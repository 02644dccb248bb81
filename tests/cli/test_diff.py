"""``lprc diff``, ``--print-changed`` and ``--dump-dir`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from lprc.cli.diff_command import command
from lprc.cli.root import root


def diff(*arguments: str | Path) -> Result:
    """In this process; what `root.main` makes of errors is tested with processes below."""
    return CliRunner().invoke(command, [*map(str, arguments)], standalone_mode=False)


@pytest.fixture
def small(small) -> Path:
    """Its nodes have names, as what becomes of them is told by these."""
    model = onnx.load(small)
    for number, node in enumerate(model.graph.node):
        node.name = f"layer{number}"
    onnx.save(model, small)
    return small


@pytest.fixture
def folded(lprc, small, tmp_path) -> Path:
    """`small` with its BatchNormalization folded."""
    out = tmp_path / "folded.onnx"
    lprc("opt", small, "--passes", "fold-bn", "-o", out, "-q")
    return out


def test_different_models(lprc, small, folded):
    done = lprc("diff", small, folded, check=False)
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"--- {small}", f"+++ {folded}"]
    assert lines[2].startswith("3 → 2 nodes: 1 removed")
    assert any(line.startswith("- BatchNormalization folded into Conv") for line in lines)


def test_equal_models(lprc, small):
    done = lprc("diff", small, small)
    assert done.stdout.splitlines()[2:] == ["3 nodes: no difference"]


def test_only_the_exit_code(small, folded):
    found = diff(small, folded, "-q")
    assert (found.return_value, found.output) == (1, "")
    assert diff(small, small, "-q").return_value == 0


def test_renamed_models_are_the_same(small, tmp_path):
    model = onnx.load(small)
    for node in model.graph.node:
        node.name = f"other_{node.name}"
    onnx.save(model, tmp_path / "renamed.onnx")
    found = diff(small, tmp_path / "renamed.onnx")
    assert found.return_value == 0
    assert "3 renamed" in found.output


def test_json(small, folded):
    found = diff(small, folded, "--json")
    document = json.loads(found.stdout)
    assert found.return_value == 1
    assert document["same"] is False
    assert document["before"] == str(small)
    assert document["removed"][0]["node"]["operator"] == "BatchNormalization"


def test_summary_and_all(small, folded):
    summary = diff(small, folded, "--summary").stdout
    assert "  removed: 1 BatchNormalization\n" in summary
    assert len(summary.splitlines()) <= 5
    assert len(diff(small, folded, "-v").stdout.splitlines()) > len(summary.splitlines())


def test_html(small, folded, tmp_path):
    page = tmp_path / "page.html"
    assert diff(small, folded, "--html", page, "-q").return_value == 1
    assert "BatchNormalization folded into Conv" in page.read_text(encoding="utf-8")


def test_artefact_folders(lprc, small, tmp_path):
    out = tmp_path / "artefact"
    lprc("compile", small, "--target", "onnx", "--emit", "onnx", "-o", out, "-q")
    assert diff(out, out / "lowered.onnx").return_value == 0
    assert diff(small, out).return_value == 1


def test_every_error_is_exit_code_2(lprc, small, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"hello, world")
    for arguments, text in (
        ([small, tmp_path / "none.onnx"], "none.onnx: no such file"),
        ([broken, small], "broken.onnx: not an ONNX file"),
        ([small, tmp_path], "not an artefact"),
        ([small, small, "--html", tmp_path / "no" / "page.html"], "page.html"),
        ([small, small, "--json", "-q"], "these exclude each other"),
        ([small], "Missing argument 'B'"),
    ):
        done = lprc("diff", *arguments, check=False)
        assert done.returncode == 2, done.stderr
        assert text in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == "" or "--json" in arguments


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, [*map(str, arguments)], standalone_mode=False)


PASSES = ["--passes", "legalize,fold-bn", "--verify", "off"]


def test_print_changed_stands_before_the_model(small, tmp_path):
    found = run("opt", "--print-changed", small, *PASSES, "-o", tmp_path / "o.onnx", "-q")
    assert found.exception is None
    lines = found.stdout.splitlines()
    assert lines[0] == "*** 1 legalize: no change ***"
    assert lines[1] == "*** 2 fold-bn ***"
    assert "- BatchNormalization folded into Conv" in found.stdout


def test_print_changed_modes(small, tmp_path):
    texts = {
        mode: run(
            "opt", small, *PASSES, "-o", tmp_path / "o.onnx", "-q", f"--print-changed={mode}"
        ).stdout
        for mode in ("diff", "quiet", "summary")
    }
    assert "no change" in texts["diff"]
    assert texts["diff"].splitlines()[1:] == texts["quiet"].splitlines()
    assert "  removed: 1 BatchNormalization" in texts["summary"]


def test_what_is_printed_leaves_the_json_document_alone(small, tmp_path):
    found = run(
        "compile", small, "--target", "onnx", "--emit", "onnx", *PASSES, "-o", tmp_path / "o",
        "--json", "--print-changed", "--print-before", "fold-bn", "--print-after", "fold-bn",
        "--print-after", "legalize",
    )  # fmt: skip
    assert found.exception is None
    assert json.loads(found.stdout)["output"] == str(tmp_path / "o")
    titles = [line for line in found.stderr.splitlines() if line.startswith("*** ")]
    assert titles == [
        "*** 1 legalize: no change ***",
        "*** model after 1 legalize ***",
        "*** model before 2 fold-bn ***",
        "*** 2 fold-bn ***",
        "*** model after 2 fold-bn ***",
    ]
    assert found.stderr.count("BatchNormalization(") == 2


@pytest.mark.parametrize("command", ["opt", "compile"])
@pytest.mark.parametrize(
    ("name", "message"),
    [("fold-bm", "did you mean 'fold-bn'?"), ("fold-affine", "not in the pipeline")],
)
def test_a_pass_that_would_never_be_printed(lprc, small, tmp_path, command, name, message):
    target = ["--target", "onnx"] if command == "compile" else []
    out = tmp_path / "out"
    done = lprc(command, small, *target, *PASSES, "-o", out, "--print-before", name, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("command", ["opt", "compile"])
@pytest.mark.parametrize("inside", [".", "dump", "sub/../dump"])
def test_snapshots_inside_the_output_are_refused(lprc, small, tmp_path, command, inside):
    target = ["--target", "onnx"] if command == "compile" else []
    out = tmp_path / "out"
    done = lprc(
        command, small, *target, *PASSES, "-o", out, "--dump-dir", f"{out}/{inside}", check=False
    )
    assert done.returncode == 2
    assert "--dump-dir" in done.stderr
    assert "hint: name a folder beside it" in done.stderr
    assert not out.exists()


def test_snapshots_of_passes_that_changed_something(small, tmp_path):
    dump = tmp_path / "dump"
    options = ["-o", tmp_path / "o.onnx", "-q", "--dump-dir", dump, "--verify", "off"]
    run("opt", small, "--passes", "fold-bn,fold-affine,eliminate-identity", *options)
    names = ["00-source.onnx", "00-source.txt", "01-fold-bn.onnx", "01-fold-bn.txt"]
    assert sorted(path.name for path in dump.iterdir()) == names
    assert diff(dump / "00-source.onnx", dump / "01-fold-bn.onnx", "-q").return_value == 1
    assert diff(tmp_path / "o.onnx", dump / "01-fold-bn.onnx", "-q").return_value == 0


def test_snapshots_of_an_earlier_run_do_not_mix_with_new_ones(small, tmp_path):
    dump = tmp_path / "dump"
    options = ["-o", tmp_path / "o.onnx", "-q", "--dump-dir", dump, "--verify", "off"]
    run("opt", small, "--passes", "fold-bn", *options)
    (dump / "01-mine.txt").write_text("mine")
    run("opt", small, "--passes", "legalize,fold-bn", *options)
    assert sorted(path.name for path in dump.iterdir() if path.suffix == ".txt") == [
        "00-source.txt", "01-mine.txt", "02-fold-bn.txt",
    ]  # fmt: skip
