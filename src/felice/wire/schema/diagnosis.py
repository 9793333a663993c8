"""Names the field that kept a message from being written.

The generated code checks nothing that Python checks anyway; when it fails, this walks the value and finds out where.
"""

import struct as packing
from collections.abc import Iterator, Sequence
from typing import Any

from felice.errors import UnsupportedField, UsageError
from felice.wire.primitives import MAX_STRING
from felice.wire.schema.message import Message
from felice.wire.schema.notation import FIXED, Field

__all__ = ["diagnose"]


def diagnose(message: Message, version: int, error: Exception) -> UsageError:
    """Return the error to raise for a value that could not be written."""
    what = f"{type(message).__name__} version {version}"
    for path, field, value in _walk(message, version, ""):
        if value is None and version not in field.nullable:
            if field.nullable and path[-1] != "]":
                return UnsupportedField(f"{what}: {path} cannot be null, only in versions {field.nullable}")
            return UsageError(f"{what}: {path} cannot be None")
        wrong = _wrong(field, value)
        if wrong:
            return UsageError(f"{what}: {path} {wrong}")
    return UsageError(f"{what} cannot be written: {error}")


def _walk(struct: Any, version: int, path: str) -> Iterator[tuple[str, Field, Any]]:
    """Give every value that this version carries, with its path, in the order of the fields."""
    for field in struct.__fields__:
        if version in field.versions:
            yield from _values(field, getattr(struct, field.name), version, path + field.name)


def _values(field: Field, value: Any, version: int, path: str) -> Iterator[tuple[str, Field, Any]]:
    """Give a value, and then what is inside it."""
    yield path, field, value
    if value is None:
        return
    if field.type == "array":
        for number, item in enumerate(value):
            yield from _values(field.of, item, version, f"{path}[{number}]")
    elif field.type == "struct":
        yield from _walk(value, version, f"{path}.")


def _wrong(field: Field, value: Any) -> str:
    """Return what is wrong with a value for this field, or nothing."""
    if value is None:
        return ""
    short = repr(value)
    short = short if len(short) <= 60 else f"{short[:60]}..."
    wanted = ""
    match field.type:
        case "string":
            if not isinstance(value, str):
                wanted = "a str"
            else:
                try:
                    size = len(value.encode())
                except UnicodeEncodeError as error:
                    return f"is {short}, which has no UTF-8: {error.reason}"
                if size > MAX_STRING:
                    return f"has {size} bytes of UTF-8, and {MAX_STRING} is the most a string may have"
        case "uuid":
            wanted = "" if isinstance(value, bytes) and len(value) == 16 else "16 raw bytes"
        case "binary" | "records":
            try:
                memoryview(value)
            except TypeError:
                wanted = "a buffer of bytes"
        case "array":
            wanted = "" if isinstance(value, Sequence) and not isinstance(value, str | bytes) else "a list"
        case "struct":
            wanted = "" if isinstance(value, field.of) else f"a {field.of.__qualname__}"
        case _:
            try:
                packing.pack(f">{FIXED[field.type]}", value)
            except (packing.error, TypeError, ValueError):
                wanted = f"an {field.type}" if field.type[0] == "i" else f"a {field.type}"
    return f"is {short}, not {wanted}" if wanted else ""
