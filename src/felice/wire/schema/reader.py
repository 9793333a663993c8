"""Generates the functions that read messages.

One function reads a whole message: the structs in it are read in place, in nested loops. Fields of fixed size that
follow each other are read by one call of a precompiled `struct.Struct`, together with the first bytes of the length
that ends their run. The checks of that call, and of indexing, are the checks of the frame's end; only where a slice
would be cut silently, or a count would make a loop, is there a test of its own.

For a version of FetchResponse, the code for its inner loop reads like this:

    for _ in range(n):
        o2 = new(C2)
        o2.partition_index, o2.error_code, o2.high_watermark, o2.last_stable_offset, o2.log_start_offset, n = u3(b, p)
        p += 35
        if n > 127: n, p = long_varint(b, p, n)
        ...

Names in generated code: `b` the buffer, `p` the position, `end` the buffer's size, `n` a length or count, `q` the end
of a slice, `t` a count of tagged fields; those of structs, lists and tags are numbered.
"""

import struct as packing
from typing import Any

from felice.wire import primitives
from felice.wire.schema.message import Decoder, Message
from felice.wire.schema.notation import FIXED, SIZES, Field

__all__ = ["compile_decoder", "least_size"]


def compile_decoder(message: type[Message], version: int) -> Decoder:
    """Compile the function that reads this message: `(buffer, position) -> (value, position behind it)`."""
    source, constants = Reader(message, version).generate()
    exec(compile(source, f"<felice: read {message.__name__} version {version}>", "exec"), constants)
    decoder: Decoder = constants["decode"]
    return decoder


def has_records(cls: Any) -> bool:
    """Tell whether a struct has records in any depth."""
    for field in cls.__fields__:
        inner = field.of if field.type == "array" else field
        if inner.type == "records" or (inner.type == "struct" and has_records(inner.of)):
            return True
    return False


def least_size(field: Field, version: int, flexible: bool) -> int:
    """Return how many bytes a value of this type takes at least."""
    if field.type in FIXED:
        return SIZES[FIXED[field.type]]
    if field.type == "struct":
        if version in field.nullable:
            return 1
        inner = [least_size(f, version, flexible) for f in field.of.__fields__ if f.is_untagged(version)]
        return sum(inner) + flexible
    if flexible:
        return 1
    return 2 if field.type == "string" else 4


class Reader:
    """The source of one decoder, as it grows."""

    def __init__(self, message: type[Message], version: int) -> None:
        self.message = message
        self.version = version
        self.flexible = message.flexible(version)
        # Bytes are the fastest to index and to slice, so a frame without records is copied into bytes, once.
        self.view = has_records(message)
        self.lines: list[str] = []
        self.indent = 2
        self.run: list[tuple[str, str]] = []
        self.numbers = 0
        self.constants: dict[str, Any] = {
            "new": object.__new__,
            "unpack_from": packing.unpack_from,
            "short": packing.error,
            **{name: getattr(primitives, name) for name in primitives.__all__},
        }

    def generate(self) -> tuple[str, dict[str, Any]]:
        """Return the source of `decode` and the names it uses."""
        what = f"{self.message.__name__} version {self.version}"
        self.struct(self.message, "o")
        self.flush()
        head = [
            "def decode(b, p):",
            f"    b = {'memoryview' if self.view else 'bytes'}(b)",
            "    end = len(b)",
            "    try:",
        ]
        tail = [
            "        return o, p",
            "    except (IndexError, short):",
            f"        raise cut_short({what!r}, p) from None",
            "    except UnicodeDecodeError as error:",
            f"        raise not_text({what!r}, p, error) from None",
        ]
        return "\n".join([*head, *self.lines, *tail, ""]), self.constants

    def put(self, line: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.indent + line)

    def constant(self, prefix: str, value: Any) -> str:
        """Return the name under which the generated code finds this value."""
        for name, known in self.constants.items():
            if known is value and name.startswith(prefix):
                return name
        self.numbers += 1
        name = f"{prefix}{self.numbers}"
        self.constants[name] = value
        return name

    def number(self) -> int:
        """Return a number for names that no other uses."""
        self.numbers += 1
        return self.numbers

    def flush(self) -> None:
        """Read the run of fixed-size fields that has been gathered."""
        if not self.run:
            return
        formats, targets = zip(*self.run, strict=True)
        self.run = []
        format = ">" + "".join(formats)
        if format == ">B":
            self.put(f"{targets[0]} = b[p]")
        else:
            name = f"u_{format[1:].replace('?', 'o')}"
            if name not in self.constants:
                self.constants[name] = packing.Struct(format).unpack_from
            self.put(f"{', '.join(targets)}{',' if len(targets) == 1 else ''} = {name}(b, p)")
        self.put(f"p += {packing.calcsize(format)}")

    # Structs

    def struct(self, cls: Any, target: str) -> None:
        """Read a struct into a new object, which the variable `target` is to hold."""
        self.put(f"{target} = new({self.constant('C', cls)})")
        version = self.version
        for field in cls.__fields__:
            if not field.is_untagged(version):
                self.default(field, f"{target}.{field.name}")
        for field in cls.__fields__:
            if field.is_untagged(version):
                self.field(field, f"{target}.{field.name}", f"{cls.__name__}.{field.name}")
        if self.flexible:
            self.run.append(("B", "t"))
            self.flush()
            self.tags(cls, target)

    def tags(self, cls: Any, target: str) -> None:
        """Read the tagged fields behind a struct, of which `t` tells the count (or its first byte)."""
        known = [field for field in cls.__fields__ if self.version in field.tagged]
        self.put("if t:")
        self.indent += 1
        if not known:
            self.put("p = skip_tags(b, p, end, t)")
            self.indent -= 1
            return
        tag, stop = (f"{prefix}{self.number()}" for prefix in "kz")
        self.long_form("t")
        self.put("for _ in range(t):")
        self.indent += 1
        for name in (tag, stop):
            self.put(f"{name} = b[p]")
            self.put("p += 1")
            self.long_form(name)
        self.put(f"if {stop} > end - p: raise overrun('a tagged field of {cls.__name__}', {stop}, end, p)")
        self.put(f"{stop} += p")
        for number, field in enumerate(known):
            self.put(f"{'elif' if number else 'if'} {tag} == {field.tag}:")
            self.indent += 1
            self.field(field, f"{target}.{field.name}", f"{cls.__name__}.{field.name}")
            self.flush()
            self.put(f"if p != {stop}: raise tag_mismatch('{cls.__name__}.{field.name}', p, {stop})")
            self.indent -= 1
        self.put("else:")
        self.put(f"    p = {stop}")
        self.indent -= 2

    def default(self, field: Field, target: str) -> None:
        """Set a field to what it is where the message does not carry it."""
        if field.default is None:
            self.put(f"{target} = None")
        elif field.type == "array":
            self.put(f"{target} = []")
        elif field.type == "struct":
            made = f"o{self.number()}"
            self.put(f"{target} = {made} = new({self.constant('C', field.of)})")
            for inner in field.of.__fields__:
                self.default(inner, f"{made}.{inner.name}")
        elif field.type == "float64":
            # A NaN or an infinity has no literal.
            self.put(f"{target} = {self.constant('F', field.default)}")
        else:
            self.put(f"{target} = {field.default!r}")

    # Fields

    def field(self, field: Field, target: str, where: str) -> None:
        """Read one value of a field's type into `target`."""
        if field.type in FIXED:
            self.run.append((FIXED[field.type], target))
            return
        flexible = self.flexible if field.flexible is None else self.version in field.flexible
        nullable = self.version in field.nullable
        if field.type == "struct":
            self.inner_struct(field, target, nullable)
        elif field.type == "array":
            self.array(field, target, where, flexible, nullable)
        else:
            self.sized(field, target, where, flexible, nullable)

    def inner_struct(self, field: Field, target: str, nullable: bool) -> None:
        """Read a struct; where it may be null, a byte tells: below zero for null; in a tag a varint: zero for null."""
        made = f"o{self.number()}"
        if not nullable:
            self.struct(field.of, made)
            self.put(f"{target} = {made}")
            return
        if self.version in field.tagged:
            self.run.append(("B", "n"))
            self.flush()
            self.long_form("n")
            self.put("if n == 0:")
        else:
            self.run.append(("b", "n"))
            self.flush()
            self.put("if n < 0:")
        self.put(f"    {target} = None")
        self.put("else:")
        self.indent += 1
        self.struct(field.of, made)
        self.flush()
        self.put(f"{target} = {made}")
        self.indent -= 1

    def sized(self, field: Field, target: str, where: str, flexible: bool, nullable: bool) -> None:
        """Read a string, bytes or records: a length, and as many bytes."""
        text = field.type == "string"
        if flexible:
            # One is added to a compact length: zero is null (KIP-482).
            self.run.append(("B", "n"))
            self.flush()
            self.long_form("n", "long_string" if text else "long_varint")
            self.put("if n:")
            self.put("    q = p + n - 1")
        else:
            self.run.append(("h" if text else "i", "n"))
            self.flush()
            self.put("if n >= 0:")
            self.put("    q = p + n")
        self.indent += 1
        self.put(f"if q > end: raise overrun({where!r}, q - p, end, p)")
        if field.type == "records":
            value = "b[p:q]"
        elif text:
            value = "str(b[p:q], 'utf-8')" if self.view else "b[p:q].decode()"
        else:
            value = "bytes(b[p:q])" if self.view else "b[p:q]"
        self.put(f"{target} = {value}")
        self.put("p = q")
        self.indent -= 1
        self.otherwise_null(target, where, nullable)

    def array(self, field: Field, target: str, where: str, flexible: bool, nullable: bool) -> None:
        """Read a count, and as many elements into a list."""
        element: Field = field.of
        if flexible:
            self.run.append(("B", "n"))
            self.flush()
            self.long_form("n", "long_varint")
            self.put("if n:")
            self.put("    n -= 1")
        else:
            self.run.append(("i", "n"))
            self.flush()
            self.put("if n >= 0:")
        self.indent += 1
        # As in Kafka, an element counts for a byte at least, so that a lying count cannot outlast the frame.
        least = max(least_size(element, self.version, self.flexible), 1)
        room = "end - p" if least == 1 else f"(end - p) // {least}"
        self.put(f"if n > {room}: raise overrun({where!r}, n, end, p)")
        if element.type == "uuid":
            self.put("q = p + n * 16")
            self.put(f"{target} = [{'bytes(b[i:i + 16])' if self.view else 'b[i:i + 16]'} for i in range(p, q, 16)]")
            self.put("p = q")
        elif element.type in FIXED:
            self.put(f"{target} = list(unpack_from(f'>{{n}}{FIXED[element.type]}', b, p))")
            self.put(f"p += n * {least}")
        else:
            self.elements(element, target, where)
        self.indent -= 1
        self.otherwise_null(target, where, nullable)

    def elements(self, element: Field, target: str, where: str) -> None:
        """Read `n` elements of no fixed size into a list."""
        number = self.number()
        self.put(f"{target} = a{number} = []")
        self.put("for _ in range(n):")
        self.indent += 1
        made = f"o{number}"
        if element.type == "struct":
            self.struct(element.of, made)
        else:
            self.field(element, made, where)
        self.flush()
        self.put(f"a{number}.append({made})")
        self.indent -= 1

    def long_form(self, name: str, function: str = "long_varint") -> None:
        """Go on reading a varint whose first byte says that there is more of it."""
        self.put(f"if {name} > 127: {name}, p = {function}(b, p, {name})")

    def otherwise_null(self, target: str, where: str, nullable: bool) -> None:
        """End an `if` on a length with what happens where it stands for null."""
        self.put("else:")
        self.put(f"    {target} = None" if nullable else f"    raise null_value({where!r}, p)")
