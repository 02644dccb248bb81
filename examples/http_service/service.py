"""Pictures over HTTP: POST the bytes of one to /read, and get what ``lprc run --json`` says of it.

    LPRC_SERVES=pipeline.toml uvicorn --factory service:app --limit-concurrency 64

LPRC_SERVES names a pipeline (built by ``lprc build``), an artefact or a model file. `Limits` can be
set by variables of the environment, for instance LPRC_MAX_BYTES.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from PIL import Image

from lprc import LprcError
from lprc.compiler.frames.built import networks_of
from lprc.compiler.frames.execute import answer_one
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.share import share_of_cores
from lprc.core.tasks.image_files import parse_image

Answer = Callable[[bytes], dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Attributes:
        max_bytes: Of a picture's file; more is answered by 413.
        max_pixels: Of a picture; more is answered by 422.
        max_waiting: Requests that wait for the networks or are at them; more are answered by 503.
        upload_seconds: For the picture to arrive; later is answered by 408.
        answer_seconds: For it to be answered from then on; later is answered by 504.
    """

    max_bytes: int = 8 * 2**20
    max_pixels: int = 40_000_000
    max_waiting: int = 16
    upload_seconds: int = 10
    answer_seconds: int = 30

    @classmethod
    def from_environment(cls) -> Limits:
        """Those that variables of the environment set."""
        names = {field.name: f"LPRC_{field.name.upper()}" for field in fields(cls)}
        given = {key: os.environ[name] for key, name in names.items() if name in os.environ}
        return cls(**{key: int(value) for key, value in given.items()})


def app() -> FastAPI:
    """The service that the environment describes."""
    limits = Limits.from_environment()
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    return service(answers_of(Path(os.environ["LPRC_SERVES"])), limits)


def answers_of(what: Path) -> Answer:
    """What says of a picture's bytes what ``lprc run --json`` says of its file.

    Args:
        what: A pipeline, an artefact or a model file.

    Raises:
        LprcError: It can't be loaded.
    """
    networks = networks_of(what, share=share_of_cores(frames=1))

    def answer(data: bytes) -> dict[str, Any]:
        frame = Frame("picture", 0, parse_image(data, "picture"))
        return answer_one(frame, networks).document()

    return answer


def service(answer: Answer, limits: Limits) -> FastAPI:
    """The service.

    Args:
        answer: Called in one thread, one picture after the other: the networks' own threads have
            the cores.
        limits: Of each request.
    """
    api = FastAPI(title="lprc")
    worker = ThreadPoolExecutor(1)
    waiting: set[asyncio.Future[dict[str, Any]]] = set()

    @api.get("/health")
    async def health() -> dict[str, int]:
        return {"waiting": len(waiting)}

    @api.post("/read")
    async def read(request: Request) -> dict[str, Any]:
        data = await uploaded(request, limits)
        if len(waiting) >= limits.max_waiting:
            raise HTTPException(503, "too many pictures wait: try again", {"Retry-After": "1"})
        job = asyncio.get_running_loop().run_in_executor(worker, answer, data)
        waiting.add(job)
        job.add_done_callback(waiting.discard)
        try:
            # A thread can't be stopped: a picture whose time is over keeps its place until it ends.
            return await asyncio.wait_for(asyncio.shield(job), limits.answer_seconds)
        except asyncio.TimeoutError:
            raise HTTPException(504, f"no answer in {limits.answer_seconds} seconds") from None
        except LprcError as error:
            raise HTTPException(422, str(error)) from error

    return api


async def uploaded(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        HTTPException: It is too large, empty, or takes too long.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise _too_large(limits)
    try:
        data = await asyncio.wait_for(_body(request, limits), limits.upload_seconds)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"no picture in {limits.upload_seconds} seconds") from None
    if not data:
        raise HTTPException(400, "no picture: POST the bytes of an image file")
    return data


async def _body(request: Request, limits: Limits) -> bytes:
    data = bytearray()
    async for chunk in request.stream():  # what is announced need not be what comes
        data += chunk
        if len(data) > limits.max_bytes:
            raise _too_large(limits)
    return bytes(data)


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"more than {limits.max_bytes} bytes")
