"""A planted bug is found to the rewrite and cut out of its model; what is no bug is said so."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import onnx
import planted
import pytest

from lprc.compiler.bisect.reproducer import replay
from lprc.compiler.bisect.run import Question, bisect_file
from lprc.core.errors import InvalidModelError, OutputError, UsageError

COUNT = 200


@pytest.fixture(scope="module", autouse=True)
def _plugin(tmp_path_factory):
    folder = planted.install(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield
    sys.modules.pop("planted_passes", None)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return planted.chain(tmp_path_factory.mktemp("model") / "chain.onnx", COUNT)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return planted.chain(tmp_path_factory.mktemp("model") / "small.onnx", 6)


def passes(*wrong, name="mul-to-div", together=False):
    listed = f"wrong={','.join(wrong)}{',together=true' if together else ''}" if wrong else ""
    return f"eliminate-identity,infer-shapes,{name}{{{listed}}},eliminate-dead-code,infer-shapes"


def numbers(found):
    return [number + 1 for number in found.culprit.numbers]


def test_a_planted_bug_is_found_within_the_checks_promised_and_cut_out(model, tmp_path):
    out = tmp_path / "out"
    told = []
    found = bisect_file(model, passes("mul137"), Question(), out=out, listener=told.append)
    (record,) = found.culprit.records
    assert (record.position, record.name, len(record.rewrites)) == (2, "mul-to-div", COUNT)
    assert numbers(found) == [138]
    assert [made.node for made in found.culprit.rewrites] == ["mul137"]
    assert found.culprit.alone
    assert found.culprit.count <= 2 * math.log2(COUNT)
    assert found.culprit.count == sum(not check.repeated for check in told)
    assert len({check.graph for check in told if not check.repeated}) == found.culprit.count

    assert found.reduced.nodes <= 10
    assert found.reduced.why is None
    assert found.replays
    reduced = onnx.load(out / "model.onnx")
    onnx.checker.check_model(reduced, full_check=True)
    assert "mul137" in [node.name for node in reduced.graph.node]
    assert "Div" in [node.op_type for node in onnx.load(out / "after.onnx").graph.node]
    # The inputs are the real values at the cut, not new random ones: they went through 137 Muls.
    (fed,) = np.load(out / "inputs.npz").values()
    assert abs(fed).max() != pytest.approx(1, abs=0.01)
    assert "mul-to-div{wrong=mul137}" in (out / "pipeline.txt").read_text()
    document = json.loads((out / "bisect.json").read_text())
    assert document["rewrites"][0]["number"] == 138
    assert len(document["log"]) >= document["checks"] == found.culprit.count
    assert replay(out).broken


def test_a_repaired_pass_replays_as_good(model, tmp_path):
    out = tmp_path / "out"
    bisect_file(model, passes("mul9"), Question(), out=out)
    (out / "pipeline.txt").write_text("mul-to-div\n")
    assert not replay(out).broken


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and no more"])
def test_a_reproducer_with_damaged_inputs_is_refused(small, tmp_path, data):
    out = tmp_path / "out"
    bisect_file(small, passes("mul2"), Question(), out=out)
    (out / "inputs.npz").write_bytes(data)
    with pytest.raises(InvalidModelError, match=r"can't be replayed.*inputs\.npz"):
        replay(out)


def test_reproducers_are_the_same_bytes(small, tmp_path):
    for name in ("one", "two"):
        bisect_file(small, passes("mul2"), Question(), out=tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_two_rewrites_that_are_wrong_together(model, tmp_path):
    text = passes("mul20", "mul180", together=True)
    found = bisect_file(model, text, Question(), out=tmp_path / "out")
    assert numbers(found) == [21, 181]
    assert found.culprit.count <= 4 * math.log2(COUNT)
    assert found.reduced.nodes <= 10
    assert found.replays


def test_two_wrong_rewrites_of_which_one_is_enough(model):
    found = bisect_file(model, passes("mul20", "mul180"), Question())
    assert numbers(found) == [21]


def test_the_first_of_two_bad_passes(small):
    text = "mul-to-div{wrong=mul3},mul-to-div,fold-constants"
    found = bisect_file(small, f"infer-shapes,{text}", Question())
    assert found.culprit.good == 1


def test_nothing_to_find(small):
    with pytest.raises(UsageError, match="the result is good, so that there is nothing to find"):
        bisect_file(small, passes(), Question())


def test_nothing_is_written_where_nothing_is_found(small, tmp_path):
    with pytest.raises(UsageError):
        bisect_file(small, passes(), Question(), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_others_is_refused_before_any_work(small, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    told = []
    with pytest.raises(OutputError):
        bisect_file(small, passes("mul3"), Question(), out=tmp_path, listener=told.append)
    assert told == []


def test_a_lossy_pass_needs_another_question(small):
    """It promises nothing about outputs, so that what it made is where the next pass starts."""
    with pytest.raises(UsageError, match="nothing to find"):
        bisect_file(small, passes("mul3", name="lossy-mul"), Question())
    behind = "lossy-mul{wrong=mul3},infer-shapes"
    with pytest.raises(UsageError, match="nothing to find"):
        bisect_file(small, behind, Question())


def test_a_lossy_pass_by_tolerance(small, tmp_path):
    question = Question(tolerance=1e-3)
    found = bisect_file(small, passes("mul3", name="lossy-mul"), question, out=tmp_path / "out")
    assert numbers(found) == [4]
    assert found.reduced.nodes <= 10


def test_a_data_driven_pass_gets_samples_of_the_cut(small, tmp_path):
    out = tmp_path / "out"
    generator = np.random.default_rng(0)
    samples = [{"x": generator.standard_normal((1, 4)).astype(np.float32)} for _ in range(20)]
    text = passes("mul3", name="calibrated-mul")
    found = bisect_file(small, text, Question(), calibration=samples, out=out)
    assert numbers(found) == [4]
    assert found.reduced.nodes <= 10
    assert found.replays
    with np.load(out / "calibration.npz") as kept:
        assert len(kept.files) == 16
        assert {name.partition("/")[2] for name in kept.files} == {"n2"}


@pytest.mark.parametrize("metric", ["max_abs<=0.001", "snr>=60", "agreement>=0.99999"])
def test_a_lossy_pass_by_metric_keeps_the_whole_graph(small, tmp_path, metric):
    text = passes(*[f"mul{index}" for index in range(6)], name="lossy-mul", together=True)
    inputs = [{"x": np.array([[100, 1, 1, 1]], np.float32)}]
    question = Question(metric=metric, inputs=inputs)
    found = bisect_file(small, text, question, out=tmp_path / "out")
    assert numbers(found) == [1, 2, 3, 4, 5, 6]
    assert found.reduced.why == "the pass is lossy and promises nothing about outputs"
    assert found.replays


def test_bytes(small):
    size = small.stat().st_size
    with pytest.raises(UsageError, match="the source is bad already: bytes"):
        bisect_file(small, passes(), Question(metric=f"bytes<={size // 2}"))


CHECK = """
import sys, onnx
model = onnx.load(sys.argv[1])
divs = [n.name for n in model.graph.node if n.op_type == "Div"]
{body}
"""


def check(tmp_path, body):
    script = tmp_path / "a check's.py"
    script.write_text(CHECK.format(body=body))
    return f'"{sys.executable}" "{script}" {{}}'


def test_check_command(small, tmp_path):
    """A failure that outputs do not show: the check itself judges the cut."""
    command = check(tmp_path, "sys.exit(any('mul4' in name for name in divs))")
    found = bisect_file(small, passes(), Question(check=command), out=tmp_path / "out")
    assert numbers(found) == [5]
    assert found.reduced.nodes == 1
    assert not found.reduced.by_outputs
    assert found.replays


def test_a_check_that_can_seldom_judge(small, tmp_path):
    """Exit code 125 for graphs with 4 or 5 rewrites: the search goes around them."""
    command = check(tmp_path, "sys.exit(125 if len(divs) in (3, 4) else len(divs) > 2)")
    found = bisect_file(small, passes(), Question(check=command))
    assert len(numbers(found)) == 5
    assert "can't be judged" in [entry["verdict"] for entry in found.document()["log"]]


def test_passes_between_which_nothing_can_be_judged(small, tmp_path):
    text = "mul-to-div{wrong=mul3},eliminate-identity,infer-shapes"
    command = check(tmp_path, "sys.exit(125 if divs and model.graph.node[-1].op_type == 'Identity'"
                    " else bool(divs))")  # fmt: skip
    found = bisect_file(small, text, Question(check=command), out=tmp_path / "out")
    assert [record.name for record in found.culprit.records] == ["mul-to-div", "eliminate-identity"]
    assert found.culprit.numbers == ()


def test_a_check_that_never_judges(small, tmp_path):
    with pytest.raises(UsageError, match="no graph can be judged: exit code 125"):
        bisect_file(small, passes(), Question(check=check(tmp_path, "sys.exit(125)")))


def test_a_bad_source(small, tmp_path):
    command = check(tmp_path, "print('no engine'); sys.exit(3)")
    with pytest.raises(UsageError, match="the source is bad already: exit code 3: no engine"):
        bisect_file(small, passes(), Question(check=command))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program-here {}", "can't run 'no-such-program-here': No such file"),
        ("true", r"has no \{\} for the path"),
        ("", r"has no \{\} for the path"),
        ("{}", r"has no \{\} for the path"),
        ("sh -c 'exit 1 {}", "can't be read: No closing quotation"),
        ("sh -c 'kill -9 $$' {}", "'sh' ended by SIGKILL"),
        ("sh -c 'exit 200' {}", "'sh' ended by exit code 200"),
    ],
)
def test_checks_that_do_not_work(small, command, message):
    with pytest.raises(UsageError, match=message):
        bisect_file(small, passes(), Question(check=command))


def test_a_check_that_hangs_is_ended(small):
    question = Question(check="sh -c 'sleep 60' {}", timeout=0.2)
    with pytest.raises(UsageError, match=r"no graph can be judged: not done after 0\.2 s"):
        bisect_file(small, passes(), question)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("accuracy", "is not NAME>=NUMBER"),
        ("accuracy>0.9", "is not NAME>=NUMBER"),
        ("accuracy>=90%", "is not NAME>=NUMBER"),
        ("accuracy>=nan", "is not NAME>=NUMBER"),
        ("accuracy>=0.9 or so", "is not NAME>=NUMBER"),
        ("accuracy>=90", "'accuracy' is a fraction, and 90 is not"),
        ("accuracy<=0.9", "'accuracy' is good where it is high"),
        ("max_abs>=1", "'max_abs' is good where it is low"),
        ("bytes<=-1", "'bytes' is never negative"),
        ("speed>=3", "unknown metric 'speed'"),
        ("accuracy>=0.9", "accuracy needs labels"),
    ],
)
def test_metrics_that_do_not_read(small, metric, message):
    with pytest.raises(UsageError, match=message):
        bisect_file(small, passes(), Question(metric=metric))


def test_contradicting_questions(small, tmp_path):
    with pytest.raises(UsageError, match="--check and --metric say two things"):
        bisect_file(small, passes(), Question(check="true {}", metric="snr>=3"))
    with pytest.raises(UsageError, match="labels are for a metric"):
        bisect_file(small, passes(), Question(data=tmp_path))
    with pytest.raises(UsageError, match="there is no command to end"):
        bisect_file(small, passes(), Question(timeout=3))


def test_a_source_that_does_not_run_until_legalised(tmp_path):
    """torch's legacy exporter writes such: the first graph that runs is where it starts."""
    path = planted.chain(tmp_path / "m.onnx", 6)
    proto = onnx.load(path)
    proto.graph.node.append(onnx.helper.make_node("Sub", ["x", "wide"], ["dead"], "broken"))
    wide = onnx.numpy_helper.from_array(np.ones((1, 3), np.float32), "wide")
    proto.graph.initializer.append(wide)
    onnx.save(proto, path)
    found = bisect_file(path, "eliminate-dead-code,mul-to-div{wrong=mul3}", Question())
    assert found.culprit.start == 1
    assert numbers(found) == [4]


def test_what_is_no_reproducer(tmp_path):
    with pytest.raises(InvalidModelError, match=r"bisect\.json: no such file"):
        replay(tmp_path)
    (tmp_path / "bisect.json").write_text("[]")
    with pytest.raises(InvalidModelError, match="must be an object"):
        replay(tmp_path)


def test_a_tolerance_below_what_float16_rounds_away_is_replayed(small, tmp_path):
    question = Question(tolerance=1e-6)
    found = bisect_file(small, "infer-shapes,convert-fp16", question, out=tmp_path / "out")
    assert [record.name for record in found.culprit.records] == ["convert-fp16"]
    assert found.replays
    assert replay(tmp_path / "out").broken


def test_a_metric_replays_the_rewrites_that_suffice(small, tmp_path):
    pipeline = passes("mul2", name="lossy-mul")
    inputs = [{"x": np.random.default_rng(3).standard_normal((1, 4)).astype(np.float32)}]
    question = Question(metric="snr>=60", inputs=inputs)
    found = bisect_file(small, pipeline, question, out=tmp_path / "out")
    assert found.culprit.alone
    document = json.loads((tmp_path / "out" / "bisect.json").read_text())
    assert [node for node, _, _ in document["replay"]["rewrites"]] == ["mul2"]
    operators = [node.op_type for node in onnx.load(tmp_path / "out" / "after.onnx").graph.node]
    assert operators.count("Div") == 1
    assert replay(tmp_path / "out").broken


@pytest.mark.parametrize(
    "question", [Question(), Question(tolerance=1e-3), Question(metric="snr>=9")]
)
def test_another_interface_is_refused(small, question):
    with pytest.raises(UsageError, match="extract changes what the graph takes or puts out"):
        bisect_file(small, "extract,eliminate-dead-code", question)
