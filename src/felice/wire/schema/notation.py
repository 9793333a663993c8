"""The notation: one function per type of field, each with the versions in which the field exists.

    class MetadataRequest(Request["MetadataResponse"], key=3, versions="0-13", flexible="9+"):
        class Topic(Struct):
            topic_id: bytes = uuid("10+", ignorable=True)
            name: str | None = string("0+", nullable="10+")

        topics: list[Topic] | None = array(Topic, "0+", nullable="1+")

Versions are written `"3+"`, `"0-7"`, `"4"` or `"none"`. All functions take these options:

- `nullable`: the versions in which the field may be null (None);
- `default`: what it is where the message does not carry it; None needs `nullable`;
- `tag`: its number among the tagged fields (KIP-482), written only where it is not the default, in the versions
  `tagged` (by default all of the field's versions);
- `ignorable`: whether it may be left out silently of a version that has no place for it. Otherwise a value other than
  the default raises `UnsupportedField`;
- `flexible`: the versions in which its length is compact, where that is not as in its message.

`Alias[X]` is another name for the struct X, at run time and to type checkers: it is the union of X alone. In the body
of a class mypy takes a bare assignment for a variable, and a `TypeAlias` for a field.

The functions return `Any` so that a type checker takes the annotation's word, and takes every field to have a default.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from typing import Union as Alias

from felice.wire.primitives import ZERO_UUID

__all__ = [
    "FIXED",
    "INT32_MAX",
    "INT32_MIN",
    "INT64_MAX",
    "Alias",
    "Field",
    "Versions",
    "array",
    "binary",
    "boolean",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "records",
    "string",
    "struct",
    "uint16",
    "uint32",
    "uuid",
]

INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1

FOREVER: Final = 32767
"""The end of an open range: versions are 16 bits on the wire."""

FIXED: Final = {
    "boolean": "?",
    "int8": "b",
    "int16": "h",
    "int32": "i",
    "int64": "q",
    "uint16": "H",
    "uint32": "I",
    "float64": "d",
    "uuid": "16s",
}
"""The types of fixed size, and what they are called in a format of the `struct` module."""

SIZES: Final = {"?": 1, "b": 1, "h": 2, "i": 4, "q": 8, "H": 2, "I": 4, "d": 8, "16s": 16, "B": 1, "x": 1}
"""Bytes taken by each of these."""


class Versions(NamedTuple):
    """A range of versions, both ends included; empty where `low` is above `high`."""

    low: int
    high: int

    def __contains__(self, version: object) -> bool:
        """Tell whether this version is in the range."""
        return isinstance(version, int) and self.low <= version <= self.high

    def __and__(self, other: "Versions") -> "Versions":
        """Return the versions that are in both ranges."""
        return Versions(max(self.low, other.low), min(self.high, other.high))

    def __bool__(self) -> bool:
        """Tell whether any version is in the range."""
        return self.low <= self.high

    def __str__(self) -> str:
        """Return the range as the notation writes it."""
        if not self:
            return "none"
        if self.high == FOREVER:
            return f"{self.low}+"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


NONE: Final = Versions(0, -1)

_known: dict[str, Versions] = {"none": NONE}


def parse(text: str) -> Versions:
    """Read a range of versions."""
    found = _known.get(text)
    if found is None:
        low, dash, high = text.removesuffix("+").partition("-")
        opened = text.endswith("+")
        if not low.isdecimal() or (dash and (opened or not high.isdecimal())):
            raise TypeError(f"{text!r} is no range of versions: write '3+', '0-7', '4' or 'none'")
        found = _known[text] = Versions(int(low), FOREVER if opened else int(high or low))
    return found


class Field:
    """One field of a struct, or (without a name) what an array consists of.

    `type` is the name of the function that made it; `of` the struct's class, or the array's element as a nameless
    field.
    """

    __slots__ = ("default", "flexible", "ignorable", "name", "nullable", "of", "tag", "tagged", "type", "versions")

    def __init__(
        self,
        type: str,
        versions: str,
        nullable: str,
        default: object,
        tag: int | None,
        tagged: str | None,
        ignorable: bool,
        flexible: str | None,
        of: Any = None,
    ) -> None:
        self.name = ""
        self.type = type
        self.versions = parse(versions)
        self.nullable = parse(nullable)
        self.default = default
        self.tag = tag
        self.tagged = NONE if tag is None else self.versions & parse(tagged or versions)
        self.ignorable = ignorable
        self.flexible = None if flexible is None else parse(flexible)
        self.of = of
        if default is None and type != "records" and not self.nullable:
            raise TypeError(f"a field of type {type} has the default None and is never nullable")
        if tag is not None and type == "records":
            raise TypeError("records cannot be tagged: they are sent from where they lie")

    def __repr__(self) -> str:
        """Return the field in short."""
        return f"<{self.type} {self.name or 'element'} {self.versions}>"

    def is_untagged(self, version: int) -> bool:
        """Tell whether it has a place of its own in this version."""
        return version in self.versions and version not in self.tagged


def _maker(type: str, usual: object) -> Callable[..., Any]:
    """Return the function of the notation for a type with this default."""

    def make(
        versions: str,
        *,
        nullable: str = "none",
        default: object = usual,
        tag: int | None = None,
        tagged: str | None = None,
        ignorable: bool = False,
        flexible: str | None = None,
    ) -> Any:
        return Field(type, versions, nullable, default, tag, tagged, ignorable, flexible)

    make.__name__ = make.__qualname__ = type
    return make


boolean = _maker("boolean", False)
int8 = _maker("int8", 0)
int16 = _maker("int16", 0)
int32 = _maker("int32", 0)
int64 = _maker("int64", 0)
uint16 = _maker("uint16", 0)
uint32 = _maker("uint32", 0)
float64 = _maker("float64", 0.0)
uuid = _maker("uuid", ZERO_UUID)
"""A UUID as 16 raw bytes; `ZERO_UUID` stands for none."""
string = _maker("string", "")
"""A string of at most 32,767 bytes of UTF-8."""
binary = _maker("binary", b"")
"""Bytes; decoding copies them out of the frame."""
records = _maker("records", None)
"""Record batches: any buffer of bytes, sent from where it lies; decoding gives a view into the frame."""


def struct(
    of: type,
    versions: str,
    *,
    nullable: str = "none",
    default: object = ...,
    tag: int | None = None,
    tagged: str | None = None,
    ignorable: bool = False,
) -> Any:
    """Another struct; by default one with all its defaults, made anew for each message."""
    return Field("struct", versions, nullable, default, tag, tagged, ignorable, None, of)


def array(
    of: Any,
    versions: str,
    *,
    nullable: str = "none",
    default: object = (),
    tag: int | None = None,
    tagged: str | None = None,
    ignorable: bool = False,
) -> Any:
    """A list of a struct's class or of a type, named by its function: `array(int32, "0+")`; empty by default."""
    if isinstance(of, type):
        element = Field("struct", "0+", "none", ..., None, None, False, None, of)
    else:
        element = of("0+")
    if element.type in ("array", "records"):
        raise TypeError(f"an array of {element.type} does not exist")
    return Field("array", versions, nullable, default, tag, tagged, ignorable, None, element)
