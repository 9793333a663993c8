"""kio, another implementation of the protocol with definitions of its own, judges our messages byte by byte."""

import dataclasses
import datetime
import importlib
import io
import types
import typing
import uuid
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode
from kio.serial import entity_reader, entity_writer

from felice.wire.schema import ZERO_UUID, Data, Field, Message, RecordKey, RecordValue, Request
from message_values import each_version, for_all, name_of, values, written_down

EXAMPLES = 15
"""Values per message and version; there are about six hundred of these."""

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)
# kio turns times into floats, which are exact to the millisecond for so long.
LAST_DATE = (datetime.datetime(2200, 1, 1, tzinfo=datetime.UTC) - EPOCH) // MILLISECOND


def as_kio_has_them(field: Field) -> st.SearchStrategy[Any] | None:
    """Keep to what kio's types can hold: known error codes, and times near enough."""
    if field.name.endswith("error_code"):
        return st.sampled_from([int(code) for code in ErrorCode])
    if field.type == "int64" and field.name.endswith("_ms"):
        return st.integers(0, LAST_DATE) | st.just(-1 if field.name == "log_append_time_ms" else 0)
    return None


@cache
def kio_class(message: type[Message], version: int) -> Any:
    """Return kio's class for a message in a version."""
    name = message.__name__
    kind = "data" if issubclass(message, Data) else "request" if issubclass(message, Request) else "response"
    package = "".join(f"_{c.lower()}" if c.isupper() else c for c in name.removesuffix(kind.title())).lstrip("_")
    return getattr(importlib.import_module(f"kio.schema.{package}.v{version}.{kind}"), name)


@cache
def fields_of(theirs: Any) -> dict[str, tuple[str, str, Any]]:
    """Return kio's fields by the name we use, each with its name there, its type, and the class of struct in it."""
    hints = typing.get_type_hints(theirs)
    found = {}
    for field in dataclasses.fields(theirs):
        kind = field.metadata.get("kafka_type", "")
        # kio leaves the unit away where its own type knows it.
        timed = "_ms" if kind.startswith(("timedelta", "datetime")) else ""
        found[field.name + timed] = (field.name, kind, struct_in(hints[field.name]))
    return found


def struct_in(hint: Any) -> Any:
    """Return the dataclass inside a type that may be a tuple of it, or None, or both."""
    for part in typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) else ():
        if (found := struct_in(part)) is not None:
            return found
    return hint if dataclasses.is_dataclass(hint) else None


def to_kio(ours: Any, theirs: Any, version: int) -> Any:
    """Make kio's value out of ours; the two must have the same fields in this version."""
    fields = fields_of(theirs)
    assert {f.name for f in ours.__fields__ if version in f.versions} == set(fields)
    return theirs(
        **{
            there: converted(getattr(ours, name), kind, struct, version)
            for name, (there, kind, struct) in fields.items()
        }
    )


def converted(value: Any, kind: str, struct: Any, version: int) -> Any:
    """Make what kio wants in a field of this type out of what we have."""
    if isinstance(value, list):
        return tuple(converted(item, kind, struct, version) for item in value)
    if struct is not None and value is not None:
        return to_kio(value, struct, version)
    match kind:
        case "datetime_i64":
            return None if value == -1 else EPOCH + value * MILLISECOND
        case "timedelta_i32" | "timedelta_i64":
            return value * MILLISECOND
        case "error_code":
            return ErrorCode(value)
        case "uuid":
            return None if value == ZERO_UUID else uuid.UUID(bytes=value)
    return value


def agrees(version: int, value: Message) -> None:
    """Ours and kio's write the same bytes for the same value, and each reads the other's."""
    theirs = kio_class(type(value), version)
    same = to_kio(value, theirs, version)
    out = io.BytesIO()
    entity_writer(theirs)(out, same)
    written = b"".join(value.encode(version))
    assert written == out.getvalue()
    assert type(value).decode(out.getvalue(), version) == value
    assert entity_reader(theirs)(written, 0) == (same, len(written))


JUDGED = [message for message in written_down() if not issubclass(message, RecordKey | RecordValue)]
"""All but the records of the coordinators' topics, which kio does not have."""


@pytest.mark.parametrize(("message", "version"), each_version(JUDGED), ids=name_of)
def test_kio_writes_and_reads_the_same_bytes(message: type[Message], version: int) -> None:
    """In every version: the same fields, the same bytes for the same value, and the same value from the bytes."""
    for_all(values(message, version, as_kio_has_them), partial(agrees, version), EXAMPLES)
