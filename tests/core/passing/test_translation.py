from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.onnx_io import model_io
from lprc.core.passing.interface import translations_of
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.translation import TranslatedRuns, TranslatedSamples, Translations
from lprc.core.running.numerics import RunError, Session, run

PIPELINE = (
    "embed-preprocessing{mean=3,scale=0.5},eliminate-identity,set-layout{layout=NCHW},"
    "reverse-channels,embed-postprocessing{result=best}"
)


def network() -> ir.Model:
    return model_io.from_proto(
        onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (float[N,3,2,4] image) => (float[N,2,2,4] y) <float[2,3,1,1] w = {1,-2,3,-4,5,-6}> {
            a = Identity(image) b = Conv(a, w) y = Neg(b) }""")
    )


PICTURES = {"image": np.random.default_rng(0).integers(0, 256, (2, 3, 2, 4), np.uint8)}


def test_a_pipeline_is_followed_without_running_it_whole():
    """The source, translated, gives what the graph behind all passes does."""
    lowered, pipeline = network(), Pipeline.parse(PIPELINE)
    PassManager(pipeline).run(lowered)
    source = network()
    translated = TranslatedRuns(Session(source), translations_of(source, pipeline))
    assert [node.op_type for node in source.graph] == ["Identity", "Conv", "Neg"]
    expected = run(lowered, PICTURES)
    actual = translated.run(PICTURES)
    assert list(actual) == ["best"]
    np.testing.assert_array_equal(actual["best"], expected["best"])


def test_passes_between_translate_nothing():
    translations = translations_of(network(), Pipeline.parse("eliminate-identity,fold-bn"))
    assert not translations
    assert translations.inputs(PICTURES) == PICTURES


def test_samples_go_there_and_back():
    translations = translations_of(network(), Pipeline.parse(PIPELINE))
    restored = translations.restored(PICTURES)
    assert restored["image"].dtype == np.float32
    samples = TranslatedSamples([restored, restored], translations)
    assert len(samples) == 2
    np.testing.assert_array_equal(samples[1]["image"], PICTURES["image"])
    np.testing.assert_array_equal(samples[:1][0]["image"], PICTURES["image"])


def test_what_lies_behind_a_cut_says_nothing_of_the_whole():
    source = network()
    translations = translations_of(source, Pipeline.parse("extract{inputs=b}"))
    assert isinstance(translations, Translations)
    inputs = {"b": np.zeros((1, 2, 2, 4), np.float32)}
    with pytest.raises(RunError, match="cut out"):
        TranslatedRuns(Session(source), translations).run(inputs)
