"""The classes that messages are made of: `Struct`, and the `Message`s that can be read and written.

A class body in the notation becomes a slotted class: its fields, in order, are its slots. The constructor takes them
by keyword and is compiled when the first value is made.
"""

import struct as packing
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, dataclass_transform

from felice.errors import UnsupportedVersion
from felice.wire.schema.notation import FOREVER, NONE, Field, Versions, parse

__all__ = ["Buffer", "Message", "Request", "Response", "Struct"]

Buffer: TypeAlias = bytes | bytearray | memoryview

Encoder: TypeAlias = "Callable[[Any], list[bytes | memoryview]]"
Decoder: TypeAlias = "Callable[[Buffer, int], tuple[Any, int]]"

UNWRITABLE = (TypeError, ValueError, AttributeError, packing.error)
"""What the generated code runs into when a field holds what it cannot hold."""


class StructType(type):
    """The class of structs: turns the notation into slots."""

    __fields__: tuple[Field, ...]

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> "StructType":
        """Make the class."""
        fields = []
        for key, value in namespace.items():
            if isinstance(value, Field):
                if value.name or any(hasattr(base, key) for base in bases):
                    raise TypeError(f"{name}.{key}: a field needs a name of its own")
                value.name = key
                fields.append(value)
        for field in fields:
            del namespace[field.name]
        namespace["__slots__"] = tuple(field.name for field in fields)
        namespace["__fields__"] = tuple(fields)
        return super().__new__(mcls, name, bases, namespace, **options)


@dataclass_transform(kw_only_default=True)
class Struct(metaclass=StructType):
    """A group of fields: kept by slots, compared by value, not hashable."""

    __fields__: ClassVar[tuple[Field, ...]]

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        from felice.wire.schema.construction import constructor

        cls.__init__ = constructor(cls)  # type: ignore[method-assign]
        cls.__init__(self, **values)

    def __eq__(self, other: object) -> bool:
        """Compare field by field, in the order of the fields."""
        if other.__class__ is not self.__class__:
            return NotImplemented
        get = _getter(self.__class__)
        return bool(get(self) == get(other))

    def __repr__(self) -> str:
        """Return the fields that are not at their default; long bytes as their size."""
        blank = type(self)()
        shown = []
        for field in self.__fields__:
            value = getattr(self, field.name)
            if isinstance(value, memoryview) or (isinstance(value, bytes) and len(value) > 64):
                shown.append(f"{field.name}=<{len(value)} bytes>")
            elif value != getattr(blank, field.name):
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__qualname__}({', '.join(shown)})"


_getters: dict[type, Callable[[Any], Any]] = {}


def _getter(cls: StructType) -> Callable[[Any], Any]:
    """Return the function that takes all fields of a struct at once."""
    found = _getters.get(cls)
    if found is None:
        names = [field.name for field in cls.__fields__]
        found = _getters[cls] = attrgetter(*names) if names else lambda _: ()
    return found


class Codecs(dict[int, Any]):
    """The functions that read or write a message, by version, each made when first asked for."""

    def __init__(self, message: "type[Message]", write: bool) -> None:
        super().__init__()
        self.message = message
        self.write = write

    def __missing__(self, version: int) -> Any:
        """Compile the function for this version."""
        message = self.message
        if version not in message.versions:
            raise UnsupportedVersion(
                f"{message.__name__} has no version {version}, only {message.versions}",
                hint="choose from the versions that both sides speak",
            )
        if self.write:
            from felice.wire.schema.writer import compile_encoder as make
        else:
            from felice.wire.schema.reader import compile_decoder as make  # type: ignore[assignment]
        # Two threads may both get here; they make equal functions, and either may stay.
        codec = self[version] = make(message, version)
        return codec


class Message(Struct):
    """A struct that travels on its own, in the versions `min_version` to `max_version`."""

    versions: ClassVar[Versions] = NONE
    flexible_versions: ClassVar[Versions] = NONE
    """The versions with compact lengths and tagged fields (KIP-482)."""
    min_version: ClassVar[int]
    max_version: ClassVar[int]
    _encoders: ClassVar[Codecs]
    _decoders: ClassVar[Codecs]

    def __init_subclass__(cls, *, versions: str | None = None, flexible: str = "none") -> None:
        super().__init_subclass__()
        if versions is None:
            return
        cls.versions = parse(versions)
        if cls.versions.high == FOREVER:
            raise TypeError(f"{cls.__name__}: the versions of a message have an end")
        cls.flexible_versions = parse(flexible)
        cls.min_version, cls.max_version = cls.versions
        cls._encoders = Codecs(cls, write=True)
        cls._decoders = Codecs(cls, write=False)

    @classmethod
    def flexible(cls, version: int) -> bool:
        """Tell whether this version, known or not, has compact lengths and tagged fields."""
        return version in cls.flexible_versions

    def encode(self, version: int) -> list[bytes | memoryview]:
        """Return the message as pieces to be sent one after the other.

        Records are pieces of their own, not copied; all that lies between two of them is one piece. Raise
        `UnsupportedField` where a field is set that the version cannot carry, and `UsageError` where a value does
        not fit its field.
        """
        encoder: Encoder = self._encoders[version]
        try:
            return encoder(self)
        except UNWRITABLE as error:
            from felice.wire.schema.diagnosis import diagnose

            raise diagnose(self, version, error) from error

    @classmethod
    def decode(cls, buffer: Buffer, version: int, start: int = 0, *, allow_trailing: bool = False) -> Self:
        """Read a message from `buffer`, from `start` to its end.

        Records are views into `buffer`; everything else is copied. Raise `WireError` for bytes that are no such
        message, also where some are left behind it, unless `allow_trailing`.
        """
        decoder: Decoder = cls._decoders[version]
        message, end = decoder(buffer, start)
        if end != len(buffer) and not allow_trailing:
            from felice.wire.primitives import trailing

            raise trailing(f"{cls.__name__} version {version}", len(buffer), end)
        return message  # type: ignore[no-any-return]


AnswerT = TypeVar("AnswerT", bound="Response", covariant=True)


class Request(Message, Generic[AnswerT]):
    """A request, generic in its response, which is also its attribute `response`."""

    api_key: ClassVar[int] = -1
    api_name: ClassVar[str]
    response: "ClassVar[type[Response]]"

    def __init_subclass__(cls, *, key: int = -1, versions: str | None = None, flexible: str = "none") -> None:
        super().__init_subclass__(versions=versions, flexible=flexible)
        cls.api_key = key
        cls.api_name = cls.__name__.removesuffix("Request")


class Response(Message):
    """A response, in the versions of its request."""

    api_key: ClassVar[int] = -1
    api_name: ClassVar[str]

    def __init_subclass__(cls, *, answers: type[Request[Any]] | None = None) -> None:
        if answers is None:
            super().__init_subclass__()
            return
        super().__init_subclass__(versions=str(answers.versions), flexible=str(answers.flexible_versions))
        cls.api_key, cls.api_name = answers.api_key, answers.api_name
        answers.response = cls
