"""Every command and program of README.md and docs/ runs, and prints what is shown."""

from __future__ import annotations

import shlex
from collections import Counter
from itertools import pairwise

import pytest
from doc_blocks import PAGES, RUN, blocks_of
from doc_folder import CHECKPOINTS, environment, furnish, write_checkpoint
from doc_run import run_page

from lprc import Pipeline

SLOW = {
    "README.md",
    "docs/accuracy.md",
    "docs/finetune.md",
    "docs/inspect.md",
    "docs/passes/pruning.md",
    "docs/passes/quantization-repair.md",
    "docs/search.md",
    "docs/start.md",
    "docs/sweep.md",
    "docs/targets/tvm.md",
    "docs/your-own-network.md",
}
"""Pages that take more than ten seconds of one core."""

CHAPTERS = {
    "docs/your-own-network.md": ("docs/your-own-accuracy.md", "docs/your-own-device.md"),
}
"""Pages that go on in the folder of another one, behind it."""
LATER = {page for pages in CHAPTERS.values() for page in pages}

SKIPPED = {
    "builds networks with torchvision and runs for hours": 1,
    "compiles C++ for half a minute": 1,
    "executorch is not part of the development environment": 1,
    "measures for an hour": 1,
    "needs a bucket": 1,
    "needs a package index": 4,
    "needs machines": 3,
    "needs the networks of benchmarks/zoo.py": 1,
    "needs the photographs": 2,
    "needs the real plates": 2,
    "needs the two font packages": 1,
    "runs for hours": 1,
    "sets up an environment of its own": 1,
    "sparsifies for minutes": 2,
    "tests/cmake builds it": 1,
    "the pipeline is the reader's": 2,
    "trains for half an hour": 2,
    "trains for minutes": 1,
    "tunes for minutes": 1,
}


@pytest.mark.timeout(1800)  # of a machine that does other things too
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW))
        for page in PAGES
        if page not in LATER
    ],
)
def test_the_page_runs(page, tmp_path):
    blocks = [block for part in (page, *CHAPTERS.get(page, ())) for block in blocks_of(part)]
    if not any(block.language in RUN and not block.skipped for block in blocks):
        return
    furnish(tmp_path)
    if any(name in block.text for name in CHECKPOINTS for block in blocks):
        write_checkpoint(tmp_path / CHECKPOINTS[0])
    faults = run_page(blocks, tmp_path, environment(tmp_path))
    assert not faults, "\n\n".join(faults)


def test_blocks_are_left_out_only_for_these_reasons():
    skipped = (block.skipped for page in PAGES for block in blocks_of(page))
    assert Counter(filter(None, skipped)) == SKIPPED


def test_pipelines_that_are_not_run_as_they_stand_are_understood():
    """Those that the test replaces by faster ones."""
    for block in (block for page in PAGES for block in blocks_of(page)):
        if any(option.startswith("--passes ") for option in block.instead):
            words = shlex.split(block.text)
            texts = [after for word, after in pairwise(words) if word == "--passes"]
            assert texts
            assert all(map(Pipeline.parse, texts)), block.place
