"""What the kernel says of the processor, read in one place."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from lprc.core.process import cpu_facts as facts_of

INTEL = "model name\t: Some CPU: fast\nflags\t\t: fpu avx2 avx512_vnni\n\nmodel name\t: second\n"
ARM = "CPU part\t: 0xd0c\nFeatures\t: fp asimd\n\n"


@pytest.fixture
def root(tmp_path):
    def write(text):
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/cpuinfo").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "name", "flags"),
    [
        (INTEL, "Some CPU: fast", {"fpu", "avx2", "avx512_vnni"}),
        (ARM, None, {"fp", "asimd"}),
        ("", None, set()),
    ],
    ids=["Intel", "ARM", "empty"],
)
def test_the_first_core_speaks(root, text, name, flags):
    folder = root(text)
    assert facts_of.cpu_facts(folder).get("model name") == name
    assert facts_of.cpu_flags(folder) == flags


def test_without_the_file_nothing_is_said(tmp_path):
    assert facts_of.cpu_facts(tmp_path) == {}
    assert facts_of.cpu_flags(tmp_path) == frozenset()


def test_a_core_behind_thousands_is_not_read(root):
    folder = root(INTEL + "flags : " + "x" * 100_000)
    assert "avx2" in facts_of.cpu_flags(folder)


def test_python_knows_where_the_kernel_says_no_name(monkeypatch):
    monkeypatch.setattr(facts_of, "cpu_facts", lambda root=Path("/"): {"CPU part": "0xd0c"})
    assert facts_of.cpu_name() == platform.processor()
