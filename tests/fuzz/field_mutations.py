"""Mutations that know protobuf and nothing of ONNX: any field of any message, and its bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from . import stumbling_blocks as edges

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: 32, FieldDescriptor.TYPE_INT64: 64,
    FieldDescriptor.TYPE_UINT64: -64, FieldDescriptor.TYPE_UINT32: -32,
}  # fmt: skip


def messages(message: Message) -> Iterator[Message]:
    """`message` and all messages in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in value if is_repeated(field) else [value]:
                yield from messages(one)


def is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated)


def any_field(rng: np.random.Generator, model: Message) -> None:
    """Change one field of one message."""
    message = edges.choice(rng, list(messages(model)))
    present = [field for field, _ in message.ListFields()]
    fields = list(message.DESCRIPTOR.fields)
    field = edges.choice(rng, present if present and rng.random() < 0.7 else fields)
    if rng.random() < 0.2:
        message.ClearField(field.name)
    elif is_repeated(field):
        _change_list(rng, message, field)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        _fill(rng, getattr(message, field.name))
    else:
        setattr(message, field.name, _value(rng, field))


def _change_list(rng: np.random.Generator, message: Message, field: FieldDescriptor) -> None:
    values = getattr(message, field.name)
    how = int(rng.integers(5))
    if how == 0 and len(values):
        del values[int(rng.integers(len(values)))]
    elif how == 1 and len(values) > 1:
        items = list(values)
        items = [items[index] for index in rng.permutation(len(items))]
        items = [_copied(item) for item in items]
        del values[:]
        values.extend(items)
    elif how == 2 and len(values):
        values.extend([_copied(edges.choice(rng, list(values)))])
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        _fill(rng, values.add())
    elif len(values) and rng.random() < 0.7:
        values[int(rng.integers(len(values)))] = _value(rng, field)
    else:
        values.append(_value(rng, field))


def _copied(item):
    if not isinstance(item, Message):
        return item
    copy = type(item)()
    copy.CopyFrom(item)
    return copy


def _fill(rng: np.random.Generator, message: Message) -> None:
    """Set a few plain fields of a message that may be new."""
    message.SetInParent()
    plain = [field for field in message.DESCRIPTOR.fields if field.type != field.TYPE_MESSAGE]
    for _ in range(int(rng.integers(3))):
        if not plain:
            return
        field = edges.choice(rng, plain)
        if is_repeated(field):
            getattr(message, field.name).append(_value(rng, field))
        else:
            setattr(message, field.name, _value(rng, field))


def _value(rng: np.random.Generator, field: FieldDescriptor):
    if field.type in _INTEGERS:
        bits = _INTEGERS[field.type]
        low, high = (0, 2**-bits - 1) if bits < 0 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        kind = edges.choice(rng, edges.TYPES) if bits == 32 else edges.integer(rng)
        return max(low, min(high, kind))
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return edges.number(rng)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return edges.choice(rng, [value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.bytes(int(rng.integers(40))) if rng.random() < 0.5 else edges.choice(
            rng, edges.TEXT_BYTES
        )  # fmt: skip
    return edges.choice(rng, edges.NAMES)


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """`data` with a few bytes changed, taken out, put in or moved."""
    found = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, size = int(rng.integers(len(found) + 1)), int(rng.integers(1, 17))
        how = int(rng.integers(6))
        if how == 0:
            found[at:at] = rng.bytes(size)
        elif how == 1:
            del found[at : at + size]
        elif how == 2:
            found[at : at + size] = found[: at + size][-size:]
        elif how == 3 and rng.random() < 0.3:
            del found[at:]
        elif at < len(found):
            found[at] = int(rng.choice([found[at] ^ (1 << int(rng.integers(8))), 0, 255, 127, 128]))
    return bytes(found)
