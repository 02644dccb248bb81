"""A search of a small network: what it tries, what it writes down, and how it goes on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lprc.compiler.searching.front import hypervolume, pareto_front
from lprc.compiler.searching.outcome import Bars, Outcome, PassSavings, PassTime
from lprc.compiler.searching.page import page
from lprc.compiler.searching.plan import promising_first
from lprc.compiler.searching.plot import plot_svg
from lprc.compiler.searching.result import picked, result_document
from lprc.compiler.searching.search import Limits
from lprc.compiler.searching.study import Study, Trial
from lprc.core.errors import OutputError, UsageError
from lprc.core.running.numerics import RunError
from lprc.core.targets.target import target

ENOUGH = Limits(600.0, trials=9)


def _told(search):
    return [(trial.candidate.key, trial.latency, trial.same_as) for trial in search.trials]


def test_a_search_of_a_small_network(searcher, tmp_path):
    search = searcher(tmp_path / "study")
    search.run(ENOUGH)
    assert [trial.number for trial in search.trials] == [*range(9)]
    # Targets as they are come first.
    assert [trial.candidate.label for trial in search.trials[:2]] == ["ort-int8", "ort-fp32"]
    # Then one knob is turned, or two, before all are.
    assert all(1 <= len(trial.candidate.settings) <= 2 for trial in search.trials[2:])
    front = search.front()
    assert front
    for trial in front:
        manifest = json.loads((search.study.artefact(trial.number) / "manifest.json").read_text())
        assert manifest["pipeline"] == trial.candidate.pipeline
        assert manifest["metrics"]["accuracy"]["value"] == trial.outcome.accuracy
        assert trial.outcome.drop <= 0.1
    ratios = search.final_ratios()
    document = result_document(search, search.workers._evaluator, ratios, seconds=1.0)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert sum(document["stages"].values()) == document["trials"] == 9
    few = {0: ratios[0]}
    rows = result_document(search, search.workers._evaluator, few, seconds=1.0)["front"]
    assert [row["trial"] for row in rows] == [0]  # what was not measured at the end is not shown
    fastest = picked(search, ratios, "fastest")
    assert fastest.number in {trial.number for trial in search.front()}
    best = min(ratio.value for ratio in ratios.values())
    assert ratios[fastest.number].value == best
    text = page(document)
    assert f'href="#trial-{front[0].number}"' in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert plot_svg(document) == plot_svg(document)
    # What a search before knew of passes was not run again.
    kept = {path.name for path in (tmp_path / "study" / "artefacts").iterdir()}
    plain = {"0", "1"}
    assert kept <= {str(trial.number) for trial in front} | plain | {str(search.incumbent.number)}
    search.study.close()


def test_one_that_is_interrupted_goes_on_as_it_would_have(searcher, tmp_path):
    whole = searcher(tmp_path / "whole")
    whole.run(ENOUGH)
    whole.study.close()
    first = searcher(tmp_path / "parts")
    first.run(Limits(600.0, trials=5))
    first.study.close()
    second = searcher(tmp_path / "parts", resume=True)
    assert len(second.trials) == 5
    second.run(Limits(600.0, trials=4))
    second.study.close()
    assert _told(second) == _told(whole)
    other = searcher(tmp_path / "other", seed=7)
    other.run(ENOUGH)
    other.study.close()
    assert _told(other) != _told(whole)


def test_what_a_killed_search_was_at_is_done_again(searcher, tmp_path):
    killed = searcher(tmp_path / "study")
    killed.run(Limits(600.0, trials=1))
    trial, name, _ = killed.study.ask([goal.name for goal in killed.goals], killed.knobs)
    assert (trial.number, name) == (1, "ort-fp32")
    killed.study.close()  # as the kernel does with a killed process's lock
    again = searcher(tmp_path / "study", resume=True)
    again.run(Limits(600.0, trials=1))
    again.study.close()
    assert [item.candidate.label for item in again.trials] == ["ort-int8", "ort-fp32"]


def test_what_kills_a_search_twice_is_left_alone(searcher, tmp_path):
    searcher(tmp_path / "study").study.close()
    for _ in range(2):
        killed = searcher(tmp_path / "study", resume=True)
        _, name, _ = killed.study.ask([goal.name for goal in killed.goals], killed.knobs)
        assert name == "ort-int8" or killed.study.count > 2
        killed.study.close()
    asked = []
    search = searcher(tmp_path / "study", resume=True)
    for _ in range(3):
        _, name, settings = search.study.ask([goal.name for goal in search.goals], search.knobs)
        asked.append((name, bool(settings)))
    search.study.close()
    assert asked.count(("ort-int8", False)) <= 1


def test_one_whose_latency_can_not_be_measured_has_failed(searcher, tmp_path, monkeypatch):
    search = searcher(tmp_path / "study", jobs=1)
    search.workers.slots = 2
    ratios = search.workers.ratios

    def broken(incumbent, places, *, rounds=None):
        if any(place.name == "1" for place in places):
            raise RunError("the runtime refuses")
        return ratios(incumbent, places, rounds=rounds)

    monkeypatch.setattr(search.workers, "ratios", broken)
    search.run(Limits(600.0, trials=2))
    search.study.close()
    good, bad = search.trials
    assert good.outcome.stage == "accurate"
    assert good.latency is not None
    assert bad.outcome.stage == "failed"
    assert bad.outcome.why == "its latency can't be measured: the runtime refuses"


def test_a_mistake_of_ours_costs_one_trial(searcher, tmp_path, monkeypatch):
    def broken(self, *arguments, **options):
        raise np.linalg.LinAlgError("Singular matrix")

    search = searcher(tmp_path / "study")
    monkeypatch.setattr("lprc.passes.insert_qdq.InsertQDQ.run", broken)
    search.run(Limits(600.0, trials=2))
    search.study.close()
    outcomes = {trial.candidate.label: trial.outcome for trial in search.trials}
    assert outcomes["ort-fp32"].stage == "accurate"
    assert outcomes["ort-int8"].stage == "failed"
    assert outcomes["ort-int8"].why == "internal error: LinAlgError: Singular matrix"


def test_targets_that_are_fast_as_a_rule_come_first():
    names = ["openvino-fp16", "openvino-fp32", "openvino-int8", "openvino-int8-fp16"]
    names += ["ort-fp32", "ort-int8", "tvm-fp32", "tvm-int8"]
    assert [goal.name for goal in promising_first([target(name) for name in names])] == [
        "openvino-int8", "ort-int8", "tvm-int8", "openvino-int8-fp16",
        "openvino-fp16", "ort-fp32", "tvm-fp32", "openvino-fp32",
    ]  # fmt: skip


def test_a_study_is_not_mixed_up(searcher, tmp_path):
    folder = tmp_path / "study"
    search = searcher(folder)
    with pytest.raises(UsageError, match="there is a study already"):
        searcher(folder)
    with pytest.raises(UsageError, match="another search works on this study"):
        searcher(folder, resume=True)
    search.study.close()
    with pytest.raises(UsageError, match="its seed is another: 0, now 3"):
        searcher(folder, resume=True, seed=3)
    with pytest.raises(UsageError, match=r"its targets is another: \['ort-fp32', 'ort-int8'\]"):
        searcher(folder, ("ort-fp32",), resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="it holds other things than a study"):
        Study(tmp_path / "other", {"id": "x"}, ("size",))


def test_two_processes_try_the_same_things(searcher, tmp_path):
    search = searcher(tmp_path / "study", jobs=2)
    search.run(Limits(600.0, trials=4))
    search.workers.close()
    search.study.close()
    assert {trial.outcome.stage for trial in search.trials[:2]} == {"accurate"}
    assert len(search.trials) == 4


def _trial(searched, number, latency, size, drop=0.0, same_as=None):
    outcome = Outcome("accurate", size_bytes=size, drop=drop)
    return Trial(number, searched, outcome, latency, None, same_as)


def test_the_front_is_what_no_other_is_better_than():
    rows = [(0, 1.0, 10), (1, 0.5, 20), (2, 0.5, 20), (3, 0.7, 30), (4, 2.0, 10), (5, 0.9, 9)]
    trials = [_trial(None, *row) for row in rows]
    assert [trial.number for trial in pareto_front(trials, ("latency", "size"))] == [1, 5]
    assert [trial.number for trial in pareto_front(trials, ("size",))] == [5]
    measured = {5: 0.4}
    assert [t.number for t in pareto_front(trials, ("latency", "size"), measured)] == [5]
    assert hypervolume([(0.5, 0.5), (0.25, 0.75), (0.6, 0.6)], (1.0, 1.0)) == 0.3125
    assert hypervolume([(2.0, 0.1)], (1.0, 1.0)) == 0.0


def test_hopeless_ones_are_told_by_what_was_tried():
    bars = Bars(costs=((100, 10),))
    assert bars.costs_more(101, 11)
    assert not bars.costs_more(101, 10)
    assert not bars.costs_more(100, 11)


def test_the_time_that_the_cache_saves():
    savings = PassSavings()
    ran = (PassTime("a", 2.0, False), PassTime("b", 6.0, False))
    savings.add(Outcome("accurate", passes=ran))
    assert savings.share == 0.0
    savings.add(Outcome("accurate", passes=(PassTime("b", 0.5, True), PassTime("x", 0.5, True))))
    assert savings.saved == 5.5
    assert savings.share == 5.5 / 14.5
