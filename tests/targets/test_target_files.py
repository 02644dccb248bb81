"""A target's file is read strictly: what is wrong in it is named, never guessed."""

from __future__ import annotations

import pytest

from lprc.core import registry
from lprc.core.errors import UsageError
from lprc.core.targets.target import Target, target, target_names

TOML = """
name = "mine"
description = "Mine."
precision = "float32"
runtime = "onnxruntime"
emitter = "mine:emit"
tolerance = 1e-4
pipeline = "fold-bn"
"""

WHOLE = TOML.replace('"fold-bn"', "'''\nfold-bn,\n  eliminate-dead-code\n'''") + "rules = []\n"


def with_rule(text):
    return f'{TOML}\n[[rules]]\nmessage = "wrong"\nremedy = "do this"\n{text}\n'


def read(text):
    return Target.from_toml(text, where="mine.toml")


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ('rule = "no-functions"', ()),
        ('rule = "opset-range"\nmaximum = 20\nminimum = 13', (("minimum", 13), ("maximum", 20))),
        ('rule = "domains"\nallowed = ["acme"]', (("allowed", ("acme",)),)),
    ],
)
def test_a_rule(text, parameters):
    (rule,) = read(with_rule(text)).rules
    assert (rule.message, rule.remedy, rule.parameters) == ("wrong", "do this", parameters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('rule = "opset"', "unknown rule 'opset'"),
        ('rule = ["opset-range"]', "unknown rule"),
        ("", "unknown rule 'None'"),
        (
            'rule = "no-functions"\ncolour = 1',
            r"'no-functions': unknown key 'colour' \(known: rule, message, remedy\)",
        ),
        ('rule = "domains"\nallow = []', r"unknown key 'allow' \(did you mean 'allowed'"),
        ('rule = "opset-range"\nminimum = 13', "rule 'opset-range': key 'maximum' is missing"),
        ('rule = "opset-range"\nminimum = "13"\nmaximum = 20', "minimum: must be a whole number"),
        ('rule = "opset-range"\nminimum = true\nmaximum = 20', "minimum: must be a whole number"),
        # A string is a sequence too: its letters would have been the names.
        ('rule = "domains"\nallowed = "acme"', "allowed: must be a list"),
        ('rule = "refused-operators"\nrefused = [1]', "refused.0: must be a string"),
    ],
)
def test_a_wrong_rule(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(with_rule(text))
    assert str(caught.value).startswith("mine.toml: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"onnxruntime"', '"ncnn"', r"runtime: unknown runtime 'ncnn' \(known: .*onnxruntime, "),
        ('"mine:emit"', '"mine"', "emitter: must be module:name"),
        ('"mine:emit"', '":emit"', "emitter: must be module:name"),
        ("1e-4", "0", "tolerance: must be above 0"),
        ("1e-4", "true", "tolerance: must be a number"),
        ("1e-4", "nan", "tolerance: must be a finite number"),
        ("1e-4", "inf", "tolerance: must be a finite number"),
        ('"fold-bn"', '["fold-bn"]', "pipeline: must be a string"),
        ('"Mine."', '"Mine."\nkit = "mine"', "kit: must be module:name"),
        ('"Mine."', '"Mine."\nkit = 1', "kit: must be a string"),
        ('"Mine."', '"Mine."\noptions = ":Mine"', "options: must be module:name"),
        ('"Mine."', '"Mine."\nrequires = [1]', "requires.0: must be a string"),
        ('"Mine."', '"Mine."\ninstall = 1', "install: must be a string"),
        ('name = "mine"', "", "key 'name' is missing"),
    ],
)
def test_a_wrong_value(old, new, message):
    text = f"{TOML}rules = []\n"
    read(text)
    with pytest.raises(UsageError, match=f"mine.toml: {message}"):
        read(text.replace(old, new))


class _Point:
    name = value = "mine"

    def __init__(self, loaded):
        self._loaded = loaded

    def load(self):
        return self._loaded()


def _fails():
    raise ImportError("no module named mine")


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        (lambda: object(), "'mine' is not a Target"),
        (_fails, "entry point mine: can't load 'mine': no module named mine"),
        (lambda: read(TOML), "mine.toml: key 'rules' is missing"),
    ],
)
def test_a_broken_third_party_target(monkeypatch, loaded, message):
    monkeypatch.setattr(registry, "entry_points", lambda group: [_Point(loaded)])
    with pytest.raises(UsageError, match=message):
        target("mine")


def test_an_alias_is_its_target():
    assert target("ov-fp32") is target("openvino-fp32")


def test_target_from_toml():
    mine = read(WHOLE)
    assert (mine.pipeline, mine.requires, mine.rules) == ("fold-bn,eliminate-dead-code", (), ())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rules = []", "rules = []\ncolour = 1", "unknown key 'colour'"),
        ("tolerance = 1e-4", "", "key 'tolerance' is missing"),
        ("tolerance = 1e-4", "tolerance = 'x'", "tolerance: must be a number"),
        ("tolerance = 1e-4", "tolerance = -1.0", "tolerance: must be above 0"),
        ('"Mine."', "3", "description: must be a string"),
        ("rules = []", "rules = [1]", "rules.0: must be a table"),
        ("rules = []", "rules = []\nrequires = 'x'", "requires: must be a list"),
        ("rules = []", "rules = [", "not TOML"),
    ],
)
def test_strict_toml(old, new, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(WHOLE.replace(old, new))
    assert "mine.toml" in str(caught.value)


@pytest.mark.parametrize("name", target_names())
def test_every_shipped_target_parses(name):
    from lprc.core.passing.pipeline import Pipeline

    shipped = target(name)
    assert shipped.name == name
    assert Pipeline.parse(shipped.pipeline).passes


def test_unknown_target():
    with pytest.raises(UsageError, match=r"unknown target 'trt-int9'"):
        target("trt-int9")


def test_third_party_target(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: [_Point(lambda: read(WHOLE))])
    assert "mine" in target_names()
    assert target("mine").description == "Mine."
