"""A target's file may take over another one's keys, and say what is different."""

from __future__ import annotations

import sys

import pytest

from lprc.core.errors import UsageError
from lprc.core.targets.shared_parts import shared_parts
from lprc.core.targets.target import Target, target

BASE = """
name = "base"
description = "Base."
precision = "float32"
runtime = "onnxruntime"
emitter = "theirs:emit"
install = "pip install theirs"
requires = ["theirs"]
tolerance = 1e-4
pipeline = '''
fold-bn,
eliminate-dead-code
'''

[[rules]]
rule = "opset-range"
minimum = 13
maximum = 20
message = "the base's"
remedy = "do this"

[[rules]]
rule = "domains"
allowed = []
message = "the base's"
remedy = "do this"
"""

CHILD = """
extends = "base.toml"
name = "child"
tolerance = 1e-2
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read a file of a package that holds these."""
    package = tmp_path / "their_targets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_targets", raising=False)
    shared_parts.cache_clear()

    def read(text, base=BASE):
        (package / "base.toml").write_text(base)
        (package / "child.toml").write_text(text)
        return Target.from_resource("their_targets", "child.toml")

    return read


def test_what_is_not_said_is_taken_over(read):
    child = read(CHILD)
    assert (child.name, child.tolerance) == ("child", 1e-2)
    assert (child.emitter, child.install, child.requires) == (
        "theirs:emit",
        "pip install theirs",
        ("theirs",),
    )
    assert child.pipeline == "fold-bn,eliminate-dead-code"
    assert [rule.rule for rule in child.rules] == ["opset-range", "domains"]


def test_then_adds_to_the_pipeline(read):
    child = read(f"{CHILD}then = 'calibrate{{method=percentile}}, insert-qdq'")
    assert child.pipeline == ("fold-bn,eliminate-dead-code,calibrate{method=percentile},insert-qdq")
    assert read(f"{CHILD}pipeline = 'fold-affine'").pipeline == "fold-affine"


def test_options_of_passes_are_said_apart(read):
    options = "[pass-options]\nfold-bn = 'a = 1, b = 2'\n"
    assert read(f"{CHILD}{options}").pipeline == "fold-bn{a=1,b=2},eliminate-dead-code"
    base = BASE.replace("[[rules]]", f"{options}[[rules]]", 1)
    assert read(CHILD, base).pipeline == "fold-bn{a=1,b=2},eliminate-dead-code"
    assert (
        read(f"{CHILD}then = 'fold-affine'\n[pass-options]\nfold-bn = 'a=3'", base).pipeline
        == "fold-bn{a=3},eliminate-dead-code,fold-affine"
    )


def test_shared_parts_of_lprc_and_of_the_package(read, tmp_path):
    (tmp_path / "their_targets" / "shared.toml").write_text(
        """
        [pipelines]
        theirs = "@tidy, simplify"
        [rules.theirs]
        rule = "static-shapes"
        message = "theirs"
        remedy = "do that"
        """
    )
    child = read(
        f"""{CHILD}
        pipeline = '@theirs, fold-bn'
        rules = [{{ shared = "theirs", message = "the child's" }}, {{ shared = "qdq-bias" }}]
        """
    )
    tidy = "eliminate-common-subexpressions,eliminate-dead-code,deduplicate-initializers"
    assert child.pipeline == f"{tidy},simplify,fold-bn"
    added = [(rule.rule, rule.message, rule.remedy) for rule in child.rules[2:]]
    assert added == [
        ("static-shapes", "the child's", "do that"),
        ("qdq-bias", "the bias does not fit its operator", "let insert-qdq store it"),
    ]


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ("[pipelines]\nimport = 'fold-bn'", r"their_targets/shared\.toml: pipelines: lprc shares 'import'"),
        ("[pipeline]", r"their_targets/shared\.toml: unknown key 'pipeline'"),
        ("[pipelines]\nours = ['fold-bn']", r"shared\.toml: pipelines\.ours: must be a string"),
        ("[pipelines]\na = '@b'\nb = 'x, @a'", r"child\.toml: pipeline: '@a' is a part of itself"),
        ("pipelines", r"their_targets/shared\.toml: not TOML"),
    ],
)  # fmt: skip
def test_wrong_shared_parts(read, tmp_path, shared, message):
    (tmp_path / "their_targets" / "shared.toml").write_text(shared)
    with pytest.raises(UsageError, match=message):
        read(f"{CHILD}then = '@a'")


def test_text_has_lprcs_shared_parts():
    text = BASE.replace("fold-bn,", "@tidy, fold-bn,")
    assert Target.from_toml(text, where="mine.toml").pipeline.startswith("eliminate-common-")


def test_a_rule_replaces_the_one_of_its_name_or_is_added(read):
    child = read(
        f"""{CHILD}
        [[rules]]
        rule = "no-functions"
        message = "the child's"
        remedy = "do that"
        [[rules]]
        rule = "opset-range"
        minimum = 19
        maximum = 23
        message = "the child's"
        remedy = "do that"
        """
    )
    assert [(rule.rule, rule.message) for rule in child.rules] == [
        ("opset-range", "the child's"),
        ("domains", "the base's"),
        ("no-functions", "the child's"),
    ]
    assert dict(child.rules[0].parameters) == {"minimum": 19, "maximum": 23}


def test_a_grandchild(read, tmp_path):
    (tmp_path / "their_targets" / "middle.toml").write_text(f"{CHILD}then = 'fold-affine'")
    grandchild = read("extends = 'middle.toml'\nname = 'grandchild'\nthen = 'pow-to-mul'")
    assert grandchild.pipeline == "fold-bn,eliminate-dead-code,fold-affine,pow-to-mul"
    assert (grandchild.name, grandchild.tolerance) == ("grandchild", 1e-2)


def test_a_circle_is_refused(read):
    with pytest.raises(UsageError, match=r"base\.toml: extends: it extends itself"):
        read(CHILD, f"extends = 'child.toml'\n{BASE}")


@pytest.mark.parametrize(
    ("text", "base", "message"),
    [
        (CHILD.replace("base.toml", "bose.toml"), BASE, r"child.toml: extends: no such file in .*: 'bose.toml'"),
        ("extends = 3", BASE, "child.toml: extends: must be a string"),
        ("extends = ['base.toml']", BASE, "child.toml: extends: must be a string"),
        ("extends = 'child.toml'", BASE, "child.toml: extends: .*itself"),
        (f"{CHILD}colour = 1", BASE, "child.toml: unknown key 'colour'"),
        (f"{CHILD}pipeline = 'fold-bn'\nthen = 'pow-to-mul'", BASE, "child.toml: pipeline: 'then' adds"),
        (f"{CHILD}then = ['pow-to-mul']", BASE, "child.toml: then: must be a string"),
        (f"{CHILD}rules = 3", BASE, "child.toml: rules: must be a list"),
        (f"{CHILD}rules = [3]", BASE, "child.toml: rules.0: must be a table"),
        (f"{CHILD}then = 'pow-to-mul'", BASE.replace("pipeline", "kit"), "kit: must be module:name"),
        (CHILD, "name = [", "base.toml: not TOML"),
        (CHILD, 'name = "base"', "child.toml: key 'description' is missing"),
        (f"{CHILD}[[rules]]\nrule = 'opset'", BASE, "unknown rule 'opset'"),
        ("then = 'pow-to-mul'", BASE, "child.toml: key 'description' is missing"),
        (f"{BASE.partition('[[')[0]}rules = []\nthen = 'pow-to-mul'", BASE, "child.toml: then: it adds to"),
        (f"{CHILD}then = 'pow-to-mul'", BASE.replace("pipeline", "reference"), "child.toml: key 'pipeline' is missing"),
        (f"{CHILD}then = '@imports'", BASE, r"child.toml: pipeline: no shared part is called 'imports' \(known: import, "),
        (f"{CHILD}[pass-options]\nfold-affine = 'x=1'", BASE, "child.toml: pass-options.fold-affine: no such pass"),
        (f"{CHILD}then = 'calibrate{{method=percentile}}'\n[pass-options]\ncalibrate = 'x=1'", BASE, "child.toml: pass-options.calibrate: the pass has options in"),
        (f"{CHILD}[pass-options]\nfold-bn = 1", BASE, "child.toml: pass-options.fold-bn: must be a string"),
        (f"{CHILD}[[rules]]\nshared = 'opset'", BASE, r"child.toml: rules: no shared rule is called 'opset' \(known: opset-range, "),
        (f"{CHILD}[[rules]]\nshared = 'opset-range'\nmaximum = '26'", BASE, "child.toml: rule 'opset-range': maximum: must be a whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, text, base, message):
    with pytest.raises(UsageError, match=message):
        read(text, base)


def test_a_text_can_not_extend():
    with pytest.raises(UsageError, match=r"mine\.toml: extends: only a file of a package"):
        Target.from_toml(f'extends = "base.toml"\n{BASE}', where="mine.toml")


TENSORRT = ("fp32", "fp16", "int8", "int8-fp16", "sparse-fp16", "sparse-int8")


@pytest.mark.parametrize("name", TENSORRT)
def test_tensorrts_targets_share_what_is_the_same(name):
    base, found = target("trt-fp32"), target(f"trt-{name}")
    assert found.name == f"tensorrt-{name}"
    for key in ("runtime", "options", "requires", "install"):
        assert getattr(found, key) == getattr(base, key) != ""
    sparse = "_sparse" if name.startswith("sparse") else ""
    assert found.emitter == f"lprc.targets.tensorrt:emit{sparse}_engine"
    assert found.kit == f"lprc.targets.tensorrt:emit{sparse}_kit"
    assert found.reference == ("" if name == "fp32" else "tensorrt-fp32")
    names = [rule.rule for rule in found.rules]
    assert names[: len(base.rules)] == [rule.rule for rule in base.rules]
    assert names[len(base.rules) :] == (["sparse-weights"] if sparse else [])
