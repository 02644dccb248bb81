"""``lprc compile --report``."""

from __future__ import annotations

import re


def test_compile_writes_a_report(lprc, small, tmp_path):
    report = tmp_path / "report.html"
    done = lprc("compile", small, "--target", "onnx", "-o", tmp_path / "out", "--report", report)
    assert f"report: {report}, " in done.stdout
    page = report.read_text(encoding="utf-8")
    assert "<title>small.onnx for onnx: lprc report</title>" in page
    assert "outputs moved by" in page
    assert re.search(r'data-pair="\d+" title="fold-bn">fold-bn</a>', page)
    assert str(tmp_path) not in page


def test_a_report_that_would_be_lost_is_refused_before_any_work(lprc, small, tmp_path):
    out = tmp_path / "out"
    done = lprc(
        "compile", small, "--target", "onnx", "-o", out, "--report", out / "r.html", check=False
    )
    assert done.returncode == 9
    assert "is in the artefact's folder" in done.stderr
    assert not out.exists()


def test_a_report_in_no_folder_is_refused_before_any_work(lprc, small, tmp_path):
    out, report = tmp_path / "out", tmp_path / "no" / "r.html"
    done = lprc("compile", small, "--target", "onnx", "-o", out, "--report", report, check=False)
    assert done.returncode == 9
    assert "no such folder" in done.stderr
    assert not out.exists()


def test_sensitivity_needs_a_report_and_images(lprc, small, tmp_path):
    command = ["compile", small, "--target", "onnx", "-o", tmp_path / "out", "--report-sensitivity"]
    done = lprc(*command, check=False)
    assert (done.returncode, "needs --report" in done.stderr) == (2, True)
    done = lprc(*command, "--report", tmp_path / "r.html", check=False)
    assert (done.returncode, "needs --calib" in done.stderr) == (2, True)
