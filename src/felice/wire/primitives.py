"""What the generated codecs call when the straight line ends: long varints, tags, and the errors.

The common case of everything here is written out inside the generated code (see `schema/reader.py`); these functions
are its side roads. All of them read from `data`, an indexable buffer of bytes, at `at`, and return the new position.
Reading past the end raises `IndexError` here as there, and the generated code turns it into a `WireError`.
"""

import struct
from typing import TypeAlias

from felice.errors import UnsupportedField, WireError

__all__ = [
    "MAX_STRING",
    "SHORT_VARINTS",
    "ZERO_UUID",
    "cut_short",
    "long_string",
    "long_varint",
    "not_text",
    "null_value",
    "overrun",
    "skip_tags",
    "tag_mismatch",
    "tag_section",
    "trailing",
    "unsupported",
    "varint",
]

Bytes: TypeAlias = "bytes | bytearray | memoryview"

ZERO_UUID = bytes(16)
"""The UUID that stands for none."""

MAX_STRING = 0x7FFF
"""The most bytes of UTF-8 in a string: plain ones have a 16-bit length, and compact ones keep to it."""

SHORT_VARINTS = tuple(bytes((number,)) for number in range(128))
"""The unsigned varints of one byte."""


def varint(number: int) -> bytes:
    """Return `number` (0 to 2**32 - 1) as an unsigned varint (KIP-482)."""
    if not 0 <= number <= 0xFFFFFFFF:
        raise struct.error(f"{number} is not an unsigned 32-bit number")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def long_varint(data: Bytes, at: int, first: int) -> tuple[int, int]:
    """Read the rest of an unsigned varint whose first byte, `first`, was above 127.

    As Kafka does, take any encoding of up to five bytes, minimal or not, and drop what is above 32 bits.
    """
    number = first & 127
    for shift in (7, 14, 21, 28):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFF, at
    raise WireError("an unsigned varint is longer than five bytes", position=at)


def long_string(data: Bytes, at: int, first: int) -> tuple[int, int]:
    """Read the rest of a compact string's length, plus one, whose first byte was above 127."""
    number, at = long_varint(data, at, first)
    if number > MAX_STRING + 1:
        raise WireError(f"a compact string of {number - 1} bytes is longer than {MAX_STRING}", position=at)
    return number, at


def skip_tags(data: Bytes, at: int, end: int, count: int) -> int:
    """Step over `count` tagged fields (KIP-482); a `count` above 127 is the first byte of a longer one."""
    if count > 127:
        count, at = long_varint(data, at, count)
    # A lying count ends with the input: every round reads two bytes or more.
    for _ in range(count):
        tag = data[at]
        at += 1
        if tag > 127:
            tag, at = long_varint(data, at, tag)
        size = data[at]
        at += 1
        if size > 127:
            size, at = long_varint(data, at, size)
        if size > end - at:
            raise overrun(f"tagged field {tag}", size, end, at)
        at += size
    return at


def tag_section(tags: list[tuple[int, list[bytes]]]) -> bytes:
    """Return the tagged fields of a struct: their count, then tag, size and content of each, by rising tag."""
    out = [varint(len(tags))]
    for tag, parts in tags:
        content = b"".join(parts)
        out += varint(tag), varint(len(content)), content
    return b"".join(out)


def overrun(what: str, size: int, end: int, at: int) -> WireError:
    """Return the error for a length or count that the bytes left cannot hold."""
    return WireError(f"{what} claims {size}, and {max(end - at, 0)} bytes are left", position=at)


def null_value(what: str, at: int) -> WireError:
    """Return the error for a null where none may be."""
    return WireError(f"{what} is null", position=at)


def tag_mismatch(what: str, at: int, end: int) -> WireError:
    """Return the error for a tagged field whose content is not as long as its size says."""
    return WireError(f"{what}: its size ends at {end}, its content at {at}", position=at)


def unsupported(name: str, version: int, field: str) -> UnsupportedField:
    """Return the error for a field that is set and that this version cannot carry."""
    return UnsupportedField(
        f"{name} version {version} has no field {field}", hint="leave it at its default or use a later version"
    )


def trailing(what: str, size: int, end: int) -> WireError:
    """Return the error for bytes left behind a message."""
    return WireError(f"{size - end} bytes are left behind {what}", position=end)


def cut_short(what: str, at: int) -> WireError:
    """Return the error for a message that goes on behind the end of its frame."""
    return WireError(f"{what} ends in the middle", position=at)


def not_text(what: str, at: int, error: UnicodeDecodeError) -> WireError:
    """Return the error for a string that is not UTF-8."""
    return WireError(f"{what} has a string that is not UTF-8: {error.reason}", position=at)
