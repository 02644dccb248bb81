"""Pipeline text: ``legalize,fold-bn,prune-channels{ratio=0.3,exclude=conv1,conv2}``.

The grammar, the same on the command line, in TOML, in manifests and in cache keys::

    pipeline = [ pass { "," pass } ]
    pass     = name [ "{" [ option { "," option } ] "}" ]
    option   = key "=" value { "," value }
    value    = bare | quoted
    name,key = a letter, then letters, digits and "-"
    bare     = one or more characters other than white space and { } , = " \\
    quoted   = a JSON string

White space between tokens is ignored. Within braces, an item without ``=`` goes on with the
values of the option before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lprc.core.errors import UsageError
from lprc.core.options import from_texts, option_texts, with_options
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pass_order import check_order
from lprc.core.passing.pass_registry import pass_class

_TOKEN = re.compile(
    r'\s*(?:(?P<punct>[{},=])|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<bare>[^\s{},="\\]+))'
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")


@dataclass(frozen=True)
class Pipeline:
    """A sequence of passes that prints to text and parses back to an equal one."""

    passes: tuple[Pass, ...]

    def __post_init__(self) -> None:
        """Check the order.

        Raises:
            UsageError: A pass destroys what one in front of it left.
        """
        check_order(self.passes)

    @classmethod
    def parse(cls, text: str) -> Pipeline:
        """Read pipeline text.

        Raises:
            UsageError: A syntax error (with a caret under the character), an unknown pass, an
                option that the pass refuses, or a wrong order.
        """
        return cls(tuple(_Parser(text).passes()))

    def __str__(self) -> str:
        """The canonical text; options that have their default value are left out."""
        return ",".join(pass_text(item) for item in self.passes)


def pass_text(instance: Pass) -> str:
    """The canonical text of one pass."""
    return with_options(instance.name, option_texts(instance))


def parse_options(text: str) -> dict[str, tuple[str, ...]]:
    """Read ``key=value,value,key=value``: what stands between a pass's braces.

    Raises:
        UsageError: A syntax error.
    """
    return _Parser(f"{{{text}}}", "options").only_options()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, text: str, where: str = "pipeline") -> None:
        self._text = text
        self._where = where
        self._tokens = list(self._tokenise())
        self._next = 0

    def passes(self) -> Iterator[Pass]:
        if self._peek().kind == "end":
            return
        yield self._pass()
        while self._peek().kind != "end":
            self._expect(",")
            yield self._pass()

    def only_options(self) -> dict[str, tuple[str, ...]]:
        options = self._options()
        if self._peek().kind != "end":
            raise self._error("expected no more", self._peek().position)
        return options

    def _pass(self) -> Pass:
        name = self._name("a pass name")
        options = self._options() if self._peek().text == "{" else {}
        try:
            return from_texts(pass_class(name.text), options, name.text)
        except UsageError as error:
            told = self._error(str(error), name.position)
            told.pass_name, told.option = name.text, error.option
            raise told from error

    def _options(self) -> dict[str, tuple[str, ...]]:
        self._expect("{")
        options: dict[str, tuple[str, ...]] = {}
        while self._peek().text != "}" and self._peek().kind != "end":
            key = self._name("an option name")
            if key.text in options:
                raise self._error(f"option '{key.text}' is given twice", key.position)
            self._expect("=")
            options[key.text] = tuple(self._values())
        self._expect("}")
        return options

    def _values(self) -> Iterator[str]:
        yield self._value()
        while self._peek().text == ",":
            self._expect(",")
            if self._peek(1).text == "=":
                return
            yield self._value()

    def _value(self) -> str:
        token = self._take()
        if token.kind == "quoted":
            try:
                return str(json.loads(token.text))
            except json.JSONDecodeError as error:
                raise self._error("not a JSON string", token.position) from error
        if token.kind != "bare":
            raise self._error("expected a value", token.position)
        return token.text

    def _name(self, what: str) -> _Token:
        token = self._take()
        if token.kind != "bare" or not _NAME.match(token.text):
            raise self._error(f"expected {what}", token.position)
        return token

    def _expect(self, text: str) -> None:
        token = self._take()
        if token.kind != "punct" or token.text != text:
            raise self._error(f"expected '{text}'", token.position)

    def _peek(self, ahead: int = 0) -> _Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _tokenise(self) -> Iterator[_Token]:
        position, end = 0, len(self._text.rstrip())
        while position < end:
            match = _TOKEN.match(self._text, position)
            if match is None:
                bad = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._error("unexpected character", bad)
            kind = str(match.lastgroup)
            yield _Token(kind, match.group(kind), match.start(kind))
            position = match.end()
        yield _Token("end", "", end)

    def _error(self, message: str, position: int) -> UsageError:
        line = self._text.replace("\n", " ").replace("\t", " ")
        return UsageError(f"{message}\n  {line}\n  {' ' * position}^", where=self._where)
