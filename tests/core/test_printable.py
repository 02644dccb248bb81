"""What other people's names may do to a terminal: nothing."""

from __future__ import annotations

import json
import unicodedata

import pytest

from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.printable import json_escaped, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1/weights 京A·1\u3000", "conv1/weights 京A·1\u3000"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\rd\x00", r"a\nb\tc\rd\x00"),
        ("\x7f\x9b\u2028", r"\x7f\x9b\u2028"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("\udcff", r"\udcff"),
        ("\ufeffa\u200bb\U000e0041", r"\ufeffa\u200bb\U000e0041"),
    ],
)
def test_what_is_shown(text, shown):
    assert printable(text) == shown


def test_no_control_character_is_left():
    everything = "".join(map(chr, range(0x11000)))
    for lines, left in ((False, set()), (True, {"\n", "\t"})):
        text = printable(everything, lines=lines)
        assert {sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs")} == left
        text.encode()


def test_json_says_the_same():
    document = {"a\x9b": ["\x1b\x7f\u202e\ud800 ü\n\U000e0041"]}
    text = json_escaped(json.dumps(document, ensure_ascii=False, indent=1))
    assert printable(text, lines=True) == text
    assert json.loads(text) == document


def test_errors_are_one_printable_line_but_for_marked_pipelines():
    error = InvalidModelError("node 'a\x1b\n'", where="f\n", hint="\x9b")
    assert str(error).isprintable()
    assert str(UsageError("a\x1b\n  ^")) == "a\\x1b\n  ^"
