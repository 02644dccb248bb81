"""What runs the examples sees where a page is wrong."""

from __future__ import annotations

import doc_blocks
import pytest
from doc_blocks import Block, blocks_of
from doc_run import agree, run_page


@pytest.fixture
def read(tmp_path, monkeypatch):
    """The blocks of a page with this text."""
    monkeypatch.setattr(doc_blocks, "ROOT", tmp_path)

    def read(text: str) -> list[Block]:
        (tmp_path / "page.md").write_text(text)
        return blocks_of("page.md")

    return read


def fenced(language: str, text: str, comment: str = "") -> str:
    said = f"<!-- example: {comment} -->\n" if comment else ""
    return f"{said}```{language}\n{text}\n```\n"


@pytest.fixture
def faults(read, tmp_path):
    def faults(*blocks: str) -> list[str]:
        return run_page(read("\n".join(blocks)), tmp_path, {"PATH": "/usr/bin:/bin"})

    return faults


@pytest.mark.parametrize(
    "blocks",
    [
        (fenced("sh", "true\nfalse"),),
        (fenced("sh", "false\ntrue"),),
        (fenced("sh", "false # no continuation \\\n  x"),),
        (fenced("sh", "true", "exits with 1"),),
        (fenced("console", "$ echo a\nb"),),
        (fenced("console", "$ echo a"),),
        (fenced("console", "$ echo a 1\na 2"),),
        (fenced("console", "$ echo 'error: a'\nerror: a"),),
        (fenced("console", "$ echo a\na\n$ echo b"),),
        (fenced("python", "assert 0"),),
        (fenced("python", "print(1)"), fenced("text", "2", "prints")),
        (fenced("sh", "test --steps = --none", "with --steps 2"),),
    ],
)
def test_what_is_wrong_is_told(faults, blocks):
    (fault,) = faults(*blocks)
    assert fault.startswith("page.md:")


@pytest.mark.parametrize(
    "blocks",
    [
        (fenced("sh", "true\n\ntrue \\\n  x"),),
        (fenced("sh", "true\nfalse", "exits with 1"),),
        (fenced("sh", "false", "skip (it fails)"),),
        (fenced("console", "$ echo a 1\na  2", "numbers vary"),),
        (fenced("console", "$ echo 'error: a'; exit 7\nerror: …"),),
        (fenced("text", "one", "file a/b"), fenced("console", "$ cat a/b\none")),
        (
            fenced("text", "one", "file a"),
            fenced("text", "two", "file a"),
            fenced("console", "$ cat a\none\n\n\ntwo"),
        ),
        (fenced("python", "print(1)"), fenced("text", "1", "prints")),
        (fenced("sh", "test 1 -eq --steps || true", "with --steps 2"),),
        (fenced("text", "shown"),),
    ],
)
def test_what_is_right_is_not(faults, blocks):
    assert faults(*blocks) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\n\n    lprc passes\n", "fences and a language"),
        ("```\nlprc passes\n```\n", "fences and a language"),
        ("```shell\nlprc passes\n```\n", "fences and a language"),
        ("<!-- exmple: skip (x) -->\n" + fenced("sh", "a"), "a comment in front"),
        (fenced("sh", "a", "skip"), "'skip' is no word"),
        (fenced("sh", "a", "numbers vary, prints"), "is no word"),
    ],
)
def test_blocks_that_are_not_understood(read, text, problem):
    with pytest.raises(ValueError, match=problem):
        read(text)


def test_a_comment_belongs_to_the_next_block_only(read):
    first, second = read(fenced("sh", "a", "skip (why)") + "\n" + fenced("sh", "b"))
    assert (first.skipped, second.skipped) == ("why", "")


@pytest.mark.parametrize(
    ("printed", "shown", "same"),
    [
        ("a\nb\nc\n", "a\n…\nc", True),
        ("a\nc\n", "a\n…\nc", True),
        ("a\nb\n", "a\n…\nc", False),
        ("one two three\n", "one … three", True),
        ("one\ntwo three\n", "one … three", False),
        ("a   \n", "a", True),
        ("   \na\n", "\na", True),
        ("a  b\n", "a b", False),
        ("a+b\n", "a.b", False),
    ],
)
def test_agreement(printed, shown, same):
    assert agree(printed, shown) is same


def test_numbers_that_vary():
    assert agree("x  12.5 ms   1e-05\n", "x 3 ms 4.1e-3", numbers_vary=True)
    assert not agree("x 12.5 ms\n", "x 3 s", numbers_vary=True)


def test_how_far_a_slow_command_is_does_not_count(faults):
    slow = "echo compiling: 3 of 29 >&2; echo evaluating m.onnx: 7 of 40 >&2; echo '3 of 3 fresh'"
    assert not faults(fenced("console", f"$ {slow}\n3 of 3 fresh"))
    assert faults(fenced("console", "$ echo 3 of 3 fresh\ncompiling: 3 of 29\n3 of 3 fresh"))
