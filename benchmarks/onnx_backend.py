"""Count what becomes of the operator tests that onnx ships, and write the table in the docs.

python benchmarks/onnx_backend.py [--write docs/onnx-backend.md]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import onnx_backend_cases as backend

from lprc.core.targets.target import target

HEADER = """\
# The operator tests that onnx ships

Every model of `onnx.backend.test` goes through the exact passes of `openvino-fp32` (all but
`per-sample-mean`, which says itself that it changes what a batch means) and must put out the same
in ONNX Runtime as before, or, where ONNX Runtime can't run the original, what onnx ships as the
expected output. Beside each model as it is there is one with all inputs but the first frozen to
initialisers, as operators look in a trained network. `tests/test_onnx_backend.py` holds it there;
this table is written by `benchmarks/onnx_backend.py`.

onnx {onnx}, onnxruntime {onnxruntime}.

| kind | models | the same | different | refused by lprc | not run by ONNX Runtime | rewritten |
|---|---|---|---|---|---|---|
"""

FOOTER = """
*Not run*: ONNX Runtime has no kernel for the operator, its version or its element types, before
and after the passes alike; nothing is known of these. *Rewritten*: at least one pass changed the
graph (most often constants were lifted or folded, or shapes written down).
"""


def main() -> None:
    """Print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    texts = target("openvino-fp32").pipeline.split(",")
    pipeline = ",".join(text for text in texts if text != "per-sample-mean")
    lines = []
    for kind in backend.KINDS:
        counts: Counter[str] = Counter()
        for case in backend.cases(kind):
            for variant in filter(None, (case, backend.frozen(case))):
                outcome = backend.outcome(variant, pipeline)
                counts[outcome.verdict] += 1
                counts["models"] += 1
                counts["rewritten"] += outcome.rewrites > 0
        columns = ("models", "same", "different", "refused", "not run", "rewritten")
        lines.append(f"| {kind} | {' | '.join(str(counts[column]) for column in columns)} |\n")
    text = HEADER.format(onnx=version("onnx"), onnxruntime=version("onnxruntime"))
    text += "".join(lines) + FOOTER
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
