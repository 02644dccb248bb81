"""examples/make compiles what is stale."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "make"


@pytest.mark.parametrize("project", ["Unix Makefiles"], indirect=True)
def test_the_makefile(project):
    shutil.copy(EXAMPLE / "Makefile", project.source)
    program = f"{shutil.which('lprc', path=str(Path(sys.executable).parent))}"
    places = [f"LPRC={program}", "MODEL=lprnet.onnx", "CALIBRATION=calib"]

    def compiled() -> list[str]:
        lines = project.run("make", "-C", project.source, *places).stdout.splitlines()
        return sorted(line.split()[4] for line in lines if " compile " in line)

    assert compiled() == ["ort-fp32", "ov-int8"]
    assert compiled() == []
    time.sleep(1.1)
    images = sorted((project.source / "calib").iterdir())
    shutil.copyfile(images[1], images[0])
    assert compiled() == ["ov-int8"]
    assert compiled() == []
    time.sleep(1.1)
    shutil.copy(images[2], project.source / "calib" / "added.jpg")
    assert compiled() == ["ov-int8"]
    (project.source / "calib" / "added.jpg").unlink()
    time.sleep(1.1)
    assert compiled() == ["ov-int8"]
    assert compiled() == []
