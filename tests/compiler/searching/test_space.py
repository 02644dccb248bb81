"""What may be changed is data; every value of it is something that its target takes."""

from __future__ import annotations

import pytest

from lprc.compiler.searching.candidate import Candidate, candidate, knobs_of
from lprc.compiler.searching.plan import chosen_knobs, chosen_targets
from lprc.core.errors import UsageError
from lprc.core.targets.search_space import SearchSpace
from lprc.core.targets.target import target, target_names

KNOB = """
[[knobs]]
name = "mine"
passes = "equalize{iterations=$n}"
values = { n = ["5", "9"] }
"""


def _ranking(_pipeline):
    return ["one", "two", "three"]


@pytest.mark.parametrize("name", target_names())
def test_every_value_of_every_knob_makes_a_pipeline(name):
    goal = target(name)
    knobs, _ = chosen_knobs([goal])
    plain = candidate(goal, knobs[name], {}, _ranking)
    assert (plain.pipeline, plain.label) == (candidate(goal, [], {}, _ranking).pipeline, name)
    for knob in knobs[name]:
        for key, texts in knob.values.items():
            for text in texts:
                values = {each: listed[0] for each, listed in knob.values.items()} | {key: text}
                made = candidate(goal, knobs[name], {knob.name: values}, _ranking)
                assert made.key != plain.key


def test_knobs_of_all_kinds_together():
    goal = target("tvm-int8")
    knobs, _ = chosen_knobs([goal])
    settings = {
        "ranges": {"method": "entropy"},
        "float-layers": {"layers": "2"},
        "correct-bias": {"method": "analytic"},
        "prune": {"macs": "0.8", "importance": "l2", "round": "8"},
        "tuning": {"trials": "64"},
    }
    made = candidate(goal, knobs[goal.name], settings, _ranking)
    assert "calibrate{method=entropy,scheme=unsigned}" in made.pipeline
    assert "correct-bias{method=analytic,scheme=unsigned}" in made.pipeline
    assert "exclude=one,two" in made.pipeline
    assert made.pipeline.index("prune-channels{") < made.pipeline.index("calibrate{")
    assert made.options == {"tune-trials": ("64",)}
    assert made.fixed_settings == {key: settings[key] for key in settings if key != "prune"}
    assert Candidate.from_document(made.document()) == made


def test_a_knob_that_sets_a_pass_is_of_targets_with_that_pass():
    (knob,) = SearchSpace.from_toml(
        '[[knobs]]\nname = "a"\nset = { insert-qdq = "share=$s" }\nvalues = { s = ["true"] }',
        where="mine.toml",
    ).knobs
    assert knobs_of(target("ort-int8"), [knob]) == [knob]
    assert knobs_of(target("ort-fp32"), [knob]) == []


def test_aliases_are_names_too():
    (knob,) = SearchSpace.from_toml(KNOB + 'targets = ["ov-*"]', where="mine.toml").knobs
    assert [name for name in ("openvino-int8", "ort-int8") if knob.fits(name)] == ["openvino-int8"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('passes = "equalize{iterations=$n}"', "", "it changes nothing"),
        ("iterations=$n", "iterations=$m", "'m' has to stand both in values"),
        ("iterations=$n", "iterations=5", "'n' has to stand both in values"),
        ('["5", "9"]', "[]", "values.n: must not be empty"),
        ("passes", "pases", "unknown key 'pases' .*did you mean 'passes'"),
    ],
)
def test_a_wrong_knob_is_named(old, new, message):
    with pytest.raises(UsageError, match=message) as caught:
        SearchSpace.from_toml(KNOB.replace(old, new), where="mine.toml")
    assert str(caught.value).startswith("mine.toml")


def test_a_users_knob_replaces_one_of_the_same_name(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(KNOB.replace('"mine"', '"equalize"'))
    knobs, _ = chosen_knobs([target("ort-int8")], [file])
    (equalize,) = [knob for knob in knobs["ort-int8"] if knob.name == "equalize"]
    assert equalize.values == {"n": ("5", "9")}


def test_targets_by_patterns():
    goals, left_out = chosen_targets(["ort-*"], calibrated=False)
    assert [goal.name for goal in goals] == ["ort-fp32"]
    assert left_out == {"ort-int8": "it needs samples to calibrate with (--calib)"}
    with pytest.raises(UsageError, match="no target fits 'ncnn-\\*'"):
        chosen_targets(["ncnn-*"], calibrated=True)
