"""Models that show something wrong, made smaller field by field as long as they show it."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from .field_mutations import is_repeated
from .model_trials import Trial, run_trial

SECONDS = 20.0
"""For one model."""


def shrink(trial: Trial, wrong: str, scratch: Path, place: Path) -> None:
    """Write the smallest model found that is wrong in the same way as `small.onnx` into `place`."""
    try:
        model = onnx.ModelProto.FromString(trial.made.data)
    except DecodeError:
        return
    kind = _kind(wrong)
    first_of_its_kind = place.parent / "kinds" / sha256(kind.encode()).hexdigest()[:16]
    if first_of_its_kind.exists():
        return
    first_of_its_kind.parent.mkdir(exist_ok=True)
    first_of_its_kind.write_text(f"{place.name}: {wrong}\n", encoding="utf-8")

    def shows(candidate: onnx.ModelProto) -> bool:
        with tempfile.TemporaryDirectory(prefix="lprc-fuzz-") as folder:
            there = Path(folder)
            for path in scratch.iterdir():
                if path.is_file():
                    (there / path.name).write_bytes(path.read_bytes())
            (there / "model.onnx").write_bytes(candidate.SerializeToString())
            arguments = [text.replace(str(scratch), folder) for text in trial.arguments]
            again = replace(trial, arguments=arguments)
            return _kind(run_trial(again, there, Counter())) == kind

    until = time.monotonic() + SECONDS
    if shows(model):
        smallest(model, shows, until)
        (place / "small.onnx").write_bytes(model.SerializeToString())


def _kind(wrong: str) -> str:
    return wrong if wrong.startswith("exit 70") else wrong[:24]


def smallest(
    model: onnx.ModelProto, shows: Callable[[onnx.ModelProto], bool], until: float
) -> None:
    """Take out of `model` what can go, the largest first, until nothing can or the time is over."""
    tried: set[bytes] = set()
    smaller = True
    while smaller:
        smaller = False
        for _, path in sorted(_parts(model), key=lambda part: -part[0]):
            if time.monotonic() > until:
                return
            candidate = onnx.ModelProto.FromString(model.SerializeToString())
            _take_out(candidate, path)
            data = candidate.SerializeToString()
            if data in tried:
                continue
            tried.add(data)
            if shows(candidate):
                model.CopyFrom(candidate)
                smaller = True
                break


Way = tuple[tuple[str, int | None], ...]
"""From a message to a field or an item: names of fields, with the item's number in lists."""


def _parts(message: Message, place: Way = ()) -> Iterator[tuple[int, Way]]:
    """What may be taken out, with its size in bytes."""
    for field, value in message.ListFields():
        numbers = range(len(value)) if is_repeated(field) else [None]
        for number in numbers:
            one = value if number is None else value[number]
            path = (*place, (field.name, number))
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield one.ByteSize(), path
                yield from _parts(one, path)
            elif number is None or number < 20:
                yield 1, path


def _take_out(message: Message, path: Way) -> None:
    *way, (name, number) = path
    for step, index in way:
        message = getattr(message, step)
        message = message if index is None else message[index]
    if number is None:
        message.ClearField(name)
    else:
        del getattr(message, name)[number]
