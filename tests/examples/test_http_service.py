"""examples/http_service says what ``lprc run`` says, and no request takes more than it may."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from fastapi import HTTPException
from fastapi.testclient import TestClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "http_service"


def _module():
    spec = importlib.util.spec_from_file_location("service", FOLDER / "service.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["service"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


service = _module()
LIMITS = service.Limits(max_bytes=1000, max_waiting=2, upload_seconds=1, answer_seconds=1)


def _echo(data):
    return {"bytes": len(data)}


def _client(answer=_echo, limits=LIMITS):
    return TestClient(service.service(answer, limits))


def _street():
    from lprc.models.plate_detector.scenes import street_scene

    return Image.fromarray(street_scene(3, 7).image)


def test_what_lprc_run_says(tmp_path):
    from lprc.cli.run_command import command

    text = (FOLDER / "pipeline.toml").read_text()
    # As they are: compiling takes longer than this test may.
    lines = [line for line in text.splitlines() if not line.startswith(("target", "calib"))]
    path = tmp_path / "pipeline.toml"
    path.write_text("\n".join(lines).replace("../../models", str(ROOT / "models")))
    _street().save(tmp_path / "street.png")
    done = CliRunner().invoke(command, [str(path), str(tmp_path / "street.png"), "--json"])
    assert done.exit_code == 0, done.output
    expected = json.loads(done.stdout.splitlines()[0])
    client = _client(service.answers_of(path), service.Limits())
    reply = client.post("/read", content=(tmp_path / "street.png").read_bytes())
    assert reply.status_code == 200
    assert reply.json() == {**expected, "source": "picture"}
    assert "reader" in reply.text  # a plate was found and read
    assert client.get("/health").json() == {"waiting": 0}


def test_an_artefact_by_itself(bundled, plates, tmp_path):
    client = _client(service.answers_of(bundled), service.Limits())
    reply = client.post("/read", content=(plates / "000.jpg").read_bytes())
    assert reply.status_code == 200
    assert len(json.dumps(reply.json())) > 20


def test_what_is_no_picture(bundled):
    client = _client(service.answers_of(bundled), service.Limits())
    reply = client.post("/read", content=b"no picture")
    assert reply.status_code == 422
    assert "not an image" in reply.json()["detail"]
    assert client.post("/read", content=b"").status_code == 400
    truncated = io.BytesIO()
    _street().save(truncated, "JPEG")
    reply = client.post("/read", content=truncated.getvalue()[:5000])
    assert reply.status_code == 422


def test_pictures_of_too_many_pixels(bundled, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    monkeypatch.setenv("LPRC_SERVES", str(bundled))
    monkeypatch.setenv("LPRC_MAX_PIXELS", "10000")
    client = TestClient(service.app())
    data = io.BytesIO()
    Image.new("RGB", (200, 100)).save(data, "PNG")
    reply = client.post("/read", content=data.getvalue())
    assert reply.status_code == 422
    assert "20000 pixels" in reply.json()["detail"]


def test_files_that_are_too_large():
    client = _client()
    assert client.post("/read", content=b"x" * 1000).json() == {"bytes": 1000}
    assert client.post("/read", content=b"x" * 1001).status_code == 413

    def chunks():  # without Content-Length
        for _ in range(5):
            yield b"x" * 300

    assert client.post("/read", content=chunks()).status_code == 413


class _Slow:
    """A request whose body never ends."""

    headers: ClassVar[dict[str, str]] = {}

    async def stream(self):
        yield b"x"
        await asyncio.sleep(60)
        yield b"x"


def test_uploads_that_take_too_long():
    with pytest.raises(HTTPException) as error:
        asyncio.run(service.uploaded(_Slow(), LIMITS))
    assert error.value.status_code == 408


def test_answers_that_take_too_long_and_queues():
    go_on = threading.Event()

    def hang(data):
        go_on.wait(30)
        return {}

    with _client(hang) as client:
        # The first is at work and the second waits, each longer than it may.
        assert [client.post("/read", content=b"x").status_code for _ in range(2)] == [504, 504]
        assert client.get("/health").json() == {"waiting": 2}
        full = client.post("/read", content=b"x")
        assert full.status_code == 503
        assert full.headers["retry-after"] == "1"
        go_on.set()
        for _ in range(200):
            if client.get("/health").json() == {"waiting": 0}:
                break
            time.sleep(0.05)
        assert client.post("/read", content=b"x").status_code == 200


def test_limits_from_the_environment(monkeypatch):
    monkeypatch.setenv("LPRC_MAX_BYTES", "5")
    assert service.Limits.from_environment() == service.Limits(max_bytes=5)
    monkeypatch.setenv("LPRC_MAX_BYTES", "many")
    with pytest.raises(ValueError, match="many"):
        service.Limits.from_environment()
