"""The picture of a sweep."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lprc.cli import sweep_plot
from lprc.compiler.sweeping.sweep import SweepRow, Swept
from lprc.core.errors import MissingDependencyError, UsageError

WHOLE = SweepRow("unchanged", "", macs=100, parameters=10, size_bytes=1000, accuracy=0.9)
ROWS = (
    SweepRow("1.0", "", macs=100, parameters=10, size_bytes=1000, accuracy=0.9, agreement=1.0),
    SweepRow("0.5", "", macs=50, parameters=5, size_bytes=510, accuracy=0.8, latency_ratio=0.6),
    SweepRow("0.1", "", error="too far"),
)


def drawn(path: Path, rows: tuple[SweepRow, ...] = ROWS) -> bytes:
    pytest.importorskip("matplotlib")
    sweep_plot.draw(Swept("target-macs", WHOLE, rows), "net for onnx", path)
    return path.read_bytes()


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<?xml"), ("a.png", b"\x89PNG")])
def test_the_same_rows_give_the_same_file(tmp_path, name, start):
    first = drawn(tmp_path / name)
    assert first.startswith(start)
    assert drawn(tmp_path / f"other-{name}") == first
    assert drawn(tmp_path / name, ROWS[:1]) != first


def test_no_date_in_it(tmp_path):
    assert b"<dc:date>" not in drawn(tmp_path / "a.svg")


def test_a_long_title_is_wrapped_and_no_formula(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    titles = []
    real = Figure.suptitle
    monkeypatch.setattr(
        Figure,
        "suptitle",
        lambda self, text, **more: titles.append(text) or real(self, text, **more),
    )
    passes = ",".join(f"pass-{index}{{a=$b$}}" for index in range(10))
    sweep_plot.draw(Swept("a", WHOLE, ROWS), f"net\n{passes}", tmp_path / "a.svg")
    lines = titles[0].split("\n")
    assert lines[0] == "net"
    assert "".join(lines[1:]) == passes
    assert max(map(len, lines)) <= sweep_plot.TITLE_WIDTH


def test_words_and_failures_are_drawn(tmp_path):
    rows = (SweepRow("l1", "", macs=70, agreement=0.9), SweepRow("l2", "", macs=70, agreement=0.8))
    assert drawn(tmp_path / "a.svg", rows)
    assert drawn(tmp_path / "b.svg", ROWS[2:])


def test_only_two_formats():
    with pytest.raises(UsageError, match=r"neither .svg nor .png"):
        sweep_plot.check_plot(Path("curve.pdf"))


def test_without_matplotlib_the_install_command_is_said(monkeypatch):
    monkeypatch.setattr(sweep_plot, "is_installed", lambda name: False)
    with pytest.raises(MissingDependencyError) as found:
        sweep_plot.check_plot(Path("curve.svg"))
    assert found.value.hint == 'pip install "lprc[plot]"'


def test_pyplot_is_not_touched(tmp_path):
    # It would choose a window system and keep figures alive.
    sys.modules.pop("matplotlib.pyplot", None)
    drawn(tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules
