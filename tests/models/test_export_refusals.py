"""What can't be exported is refused before a file appears, and nothing is exported instead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from models_support import random_lprnet

from lprc.core.errors import OutputError, PromiseBrokenError, UsageError
from lprc.core.running import numerics
from lprc.models import export
from lprc.models.export import export_onnx


@pytest.fixture(scope="module")
def model():
    return random_lprnet(12)


@pytest.fixture(scope="module")
def graph(model):
    """What torch's exporter makes of `model`."""
    return export._export(model, "dynamic", 20, (24, 94))


@pytest.fixture
def exported_before(graph, monkeypatch):
    """What comes behind torch's exporter is tested without running that again."""
    monkeypatch.setattr(export, "_export", lambda *arguments: graph.clone())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset": 18}, "opset 18 is too old"),
        # torch's exporter logs that it can't, and writes its own opset.
        ({"opset": 99}, "can't write opset 99"),
        ({"batch": 0}, "0 is no batch size"),
        ({"batch": -1}, "-1 is no batch size"),
        ({"batch": True}, "True is no batch size"),
        ({"batch": "many"}, "'many' is no batch size"),
        ({"height": 25}, "can't take images of 94×25 pixels"),
        ({"width": 93}, "can't take images of 93×24 pixels"),
        ({"height": 0}, "can't take images of 94×0 pixels"),
        ({"width": -1}, "can't take images of -1×24 pixels"),
    ],
)
def test_refused(model, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        export_onnx(model, tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("exported_before")
def test_a_folder_is_not_overwritten(model, tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        export_onnx(model, tmp_path)


def test_without_onnxscript_the_hint_is_the_install_command(tmp_path):
    # A process of its own: hiding a module from an exporter that has imported it does nothing.
    script = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from models_support import random_lprnet
from lprc.core.errors import MissingDependencyError
from lprc.models.export import export_onnx
model = random_lprnet(12)
sys.modules["onnxscript"] = None
try:
    export_onnx(model, Path(sys.argv[2]))
except MissingDependencyError as error:
    print(error.hint)
"""
    out = tmp_path / "model.onnx"
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == 'pip install "lprc[torch]"'
    assert not out.exists()


@pytest.mark.usefixtures("exported_before")
def test_other_logits_in_onnx_runtime_stop_the_export(model, tmp_path, monkeypatch):
    honest = numerics.run
    monkeypatch.setattr(
        numerics, "run", lambda *args: {name: value + 1 for name, value in honest(*args).items()}
    )
    with pytest.raises(PromiseBrokenError, match="logits are not torch's"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("exported_before")
def test_a_graph_that_onnx_runtime_refuses_stops_the_export(model, tmp_path, monkeypatch):
    def refuse(*_):
        raise numerics.RunError("opset 27 is under development")

    monkeypatch.setattr(numerics, "run", refuse)
    with pytest.raises(PromiseBrokenError, match=r"can't run what was exported.*lower --opset"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
