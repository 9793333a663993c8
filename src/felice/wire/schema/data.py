"""Messages without an API: what clients and coordinators write inside bytes fields and records.

All of them stand behind two bytes. Those of `Data` and `RecordValue` are the version; those of a `RecordKey` tell the
record's type, and with it what the value is.

As in Kafka, bytes behind such a message are passed over.
"""

import struct as packing
from collections.abc import Mapping
from typing import ClassVar, Self

from felice.errors import WireError
from felice.wire.primitives import cut_short
from felice.wire.schema.message import Buffer, Message

__all__ = ["Data", "RecordKey", "RecordValue", "unpack_key"]

_prefix = packing.Struct(">h")


def _read_prefix(buffer: Buffer, what: str) -> int:
    """Return the number in the first two bytes."""
    try:
        number: int = _prefix.unpack_from(buffer)[0]
    except packing.error:
        raise cut_short(what, len(buffer)) from None
    return number


class Data(Message):
    """What members of a group tell each other through the coordinator, which may not know their versions."""

    def pack(self, version: int) -> bytes:
        """Return the version and the message; raise what `encode` raises."""
        return b"".join((_prefix.pack(version), *self.encode(version)))

    @classmethod
    def unpack(cls, buffer: Buffer) -> Self:
        """Read a message behind its version; raise `WireError` for bytes that are none.

        A later version is read as the last one that is known here: all that later ones do is to add fields at the end.
        """
        version = _read_prefix(buffer, cls.__name__)
        if version < 0:
            raise WireError(f"{cls.__name__} has no version {version}, only {cls.versions}")
        return cls.decode(buffer, min(version, cls.max_version), _prefix.size, allow_trailing=True)


class RecordKey(Message):
    """The key of a record in a coordinator's topic. Its `type` is Kafka's `apiKey`; it has the version 0 alone."""

    record_type: ClassVar[int]
    value: "ClassVar[type[RecordValue]]"
    """What the value of such a record is, where it has one: without, the key's record is deleted."""

    def __init_subclass__(cls, *, type: int) -> None:
        super().__init_subclass__(versions="0")
        cls.record_type = type

    def pack(self) -> bytes:
        """Return the type and the key; raise what `encode` raises."""
        return b"".join((_prefix.pack(self.record_type), *self.encode(0)))

    @classmethod
    def unpack(cls, buffer: Buffer) -> Self:
        """Read a key of this type; raise `WireError` for bytes that are none."""
        type = _read_prefix(buffer, cls.__name__)
        if type != cls.record_type:
            raise WireError(f"{cls.__name__} is of type {cls.record_type}, and this key of type {type}")
        return cls.decode(buffer, 0, _prefix.size, allow_trailing=True)


class RecordValue(Message):
    """The value of a record in a coordinator's topic."""

    def __init_subclass__(cls, *, key: type[RecordKey], versions: str, flexible: str = "none") -> None:
        super().__init_subclass__(versions=versions, flexible=flexible)
        key.value = cls

    def pack(self, version: int) -> bytes:
        """Return the version and the value; raise what `encode` raises."""
        return b"".join((_prefix.pack(version), *self.encode(version)))

    @classmethod
    def unpack(cls, buffer: Buffer) -> Self:
        """Read a value behind its version; raise `WireError` for bytes that are none, or of an unknown version."""
        version = _read_prefix(buffer, cls.__name__)
        if version not in cls.versions:
            raise WireError(f"{cls.__name__} has no version {version}, only {cls.versions}")
        return cls.decode(buffer, version, _prefix.size, allow_trailing=True)


def unpack_key(keys: Mapping[int, type[RecordKey]], buffer: Buffer) -> RecordKey | None:
    """Read one of these keys, which lie under their types; None for another type, which readers pass over."""
    found = keys.get(_read_prefix(buffer, "the key of a record"))
    return None if found is None else found.unpack(buffer)
