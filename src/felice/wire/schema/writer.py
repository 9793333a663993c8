"""Generates the functions that write messages.

One function writes a whole message. It gathers small pieces in a list that is joined once; a run of fields of fixed
size is one call of a precompiled `struct.Struct`, with the length that ends it, or with the zero byte that says that
no tagged fields follow. Records are not copied: what has been gathered before them becomes a piece, and they become
the next.

Names in generated code: `w` appends to the pieces at hand (numbered inside tagged fields), `x` a value on its way,
`n` its length, `t` the tagged fields; those of structs are numbered.
"""

import struct as packing
from typing import Any

from felice.wire import primitives
from felice.wire.schema.message import Encoder, Message
from felice.wire.schema.notation import FIXED, Field
from felice.wire.schema.reader import has_records

__all__ = ["compile_encoder"]


def compile_encoder(message: type[Message], version: int) -> Encoder:
    """Compile the function that writes this message: `value -> pieces`."""
    source, constants = Writer(message, version).generate()
    exec(compile(source, f"<felice: write {message.__name__} version {version}>", "exec"), constants)
    encoder: Encoder = constants["encode"]
    return encoder


class Writer:
    """The source of one encoder, as it grows."""

    def __init__(self, message: type[Message], version: int) -> None:
        self.message = message
        self.version = version
        self.flexible = message.flexible(version)
        self.lines: list[str] = []
        self.indent = 1
        self.run: list[tuple[str, str]] = []
        self.sink = "w"
        self.numbers = 0
        self.constants: dict[str, Any] = {
            "pack": packing.pack,
            **{name: getattr(primitives, name) for name in primitives.__all__},
        }

    def generate(self) -> tuple[str, dict[str, Any]]:
        """Return the source of `encode` and the names it uses."""
        self.struct(self.message, "o")
        self.flush()
        cut = has_records(self.message)
        head = ["def encode(o):", "    parts = []", "    w = parts.append", *(["    pieces = []"] if cut else [])]
        if cut:
            tail = ["    if parts:", "        pieces.append(b''.join(parts))", "    return pieces"]
        else:
            tail = ["    return [b''.join(parts)]"]
        return "\n".join([*head, *self.lines, *tail, ""]), self.constants

    def put(self, line: str) -> None:
        """Add a line."""
        self.lines.append("    " * self.indent + line)

    def number(self) -> int:
        """Return a number for names that no other uses."""
        self.numbers += 1
        return self.numbers

    def constant(self, value: Any) -> str:
        """Return the name under which the generated code finds this value."""
        name = f"D{self.number()}"
        self.constants[name] = value
        return name

    def flush(self) -> None:
        """Write the run of fixed-size fields that has been gathered."""
        if not self.run:
            return
        format = ">" + "".join(code for code, _ in self.run)
        values = ", ".join(value for code, value in self.run if code != "x")
        self.run = []
        if not values:
            self.put(f"{self.sink}({bytes(len(format) - 1)!r})")
            return
        name = f"p_{format[1:].replace('?', 'o')}"
        if name not in self.constants:
            self.constants[name] = packing.Struct(format).pack
        self.put(f"{self.sink}({name}({values}))")

    # Structs

    def struct(self, cls: Any, source: str) -> None:
        """Write the struct in the variable `source`."""
        version = self.version
        for field in cls.__fields__:
            if version not in field.versions and not field.ignorable:
                value = f"{source}.{field.name}"
                what = (self.message.__name__, version, f"{cls.__name__}.{field.name}")
                self.put(f"if {self.differs(field, value)}: raise unsupported{what!r}")
        for field in cls.__fields__:
            if field.is_untagged(version):
                self.field(field, f"{source}.{field.name}")
        if self.flexible:
            self.tags(cls, source)

    def differs(self, field: Field, value: str) -> str:
        """Return the expression that tells whether a field has another value than its default."""
        if field.default is None:
            return f"{value} is not None"
        if field.type == "array":
            return f"{value} or {value} is None"
        if field.type == "boolean":
            return f"not {value}" if field.default else value
        if field.type == "struct":
            # Written out, as comparing with a struct of defaults takes many times as long.
            parts = [f"({self.differs(inner, f'{value}.{inner.name}')})" for inner in field.of.__fields__]
            return " or ".join([f"{value} is None"] * bool(field.nullable) + parts)
        if field.type == "float64":
            return f"{value} != {self.constant(field.default)}"
        return f"{value} != {field.default!r}"

    def tags(self, cls: Any, source: str) -> None:
        """Write the tagged fields behind a struct: those that are not at their default."""
        known = sorted(
            (field for field in cls.__fields__ if self.version in field.tagged), key=lambda field: field.tag or 0
        )
        if not known:
            self.run.append(("x", ""))
            return
        self.flush()
        number = self.number()
        self.put(f"t{number} = []")
        outer = self.sink
        for field in known:
            value = f"{source}.{field.name}"
            self.put(f"if {self.differs(field, value)}:")
            self.indent += 1
            self.sink = f"w{self.number()}"
            self.put(f"c{number} = []")
            self.put(f"t{number}.append(({field.tag}, c{number}))")
            self.put(f"{self.sink} = c{number}.append")
            self.field(field, value)
            self.flush()
            self.indent -= 1
        self.sink = outer
        self.put(f"{outer}(tag_section(t{number}) if t{number} else b'\\0')")

    # Fields

    def field(self, field: Field, value: str) -> None:
        """Write one value of a field's type."""
        if field.type in FIXED:
            if field.type == "uuid":
                # `struct` would cut or fill it without a word.
                self.put(f"if len({value}) != 16: raise ValueError({value})")
            self.run.append((FIXED[field.type], value))
            return
        flexible = self.flexible if field.flexible is None else self.version in field.flexible
        nullable = self.version in field.nullable
        if field.type == "struct":
            self.inner_struct(field, value, nullable)
        elif field.type == "array":
            self.array(field, value, flexible, nullable)
        else:
            self.sized(field, value, flexible, nullable)

    def inner_struct(self, field: Field, value: str, nullable: bool) -> None:
        """Write a struct; where it may be null, a byte tells: 1, or -1 for null, which in a tag is 0."""
        made = f"o{self.number()}"
        self.put(f"{made} = {value}")
        if not nullable:
            self.struct(field.of, made)
            return
        self.flush()
        null = bytes((0 if self.version in field.tagged else 255,))
        self.put(f"if {made} is None:")
        self.put(f"    {self.sink}({null!r})")
        self.put("else:")
        self.indent += 1
        self.run.append(("b", "1"))
        self.struct(field.of, made)
        self.flush()
        self.indent -= 1

    def sized(self, field: Field, value: str, flexible: bool, nullable: bool) -> None:
        """Write a string, bytes or records: the length, and the bytes."""
        text = field.type == "string"
        # Lengths are counted in bytes, whatever the format of the buffer.
        taken = "{}.encode()" if text else "memoryview({}).cast('B')"
        length = f"len(x){' + 1' if flexible else ''}"
        if nullable:
            self.put(f"x = {value}")
            self.put("if x is None:")
            self.put(f"    n = {0 if flexible else -1}")
            self.put("    x = b''")
            self.put("else:")
            self.put(f"    x = {taken.format('x')}")
            self.put(f"    n = {length}")
        else:
            self.put(f"x = {taken.format(value)}")
            self.put(f"n = {length}")
        if flexible and text:
            # Compact lengths have room for more than a string may have.
            self.put("if n > MAX_STRING + 1: raise ValueError(n)")
        self.length(flexible, "h" if text else "i")
        if field.type == "records":
            self.put("if x:")
            self.put("    pieces.append(b''.join(parts))")
            self.put("    parts.clear()")
            self.put("    pieces.append(x)")
        else:
            self.put(f"{self.sink}(x)")

    def length(self, flexible: bool, code: str) -> None:
        """Write the length `n`, to which one has been added where it is compact (KIP-482)."""
        if flexible:
            self.flush()
            self.put(f"{self.sink}(SHORT_VARINTS[n] if n < 128 else varint(n))")
        else:
            self.run.append((code, "n"))
            self.flush()

    def array(self, field: Field, value: str, flexible: bool, nullable: bool) -> None:
        """Write a count and the elements."""
        element: Field = field.of
        items = f"a{self.number()}"
        self.put(f"{items} = {value}")
        count = f"len({items}){' + 1' if flexible else ''}"
        if nullable:
            self.put(f"if {items} is None:")
            self.put(f"    n = {0 if flexible else -1}")
            self.put(f"    {items} = ()")
            self.put("else:")
            self.put(f"    n = {count}")
        else:
            self.put(f"n = {count}")
        self.length(flexible, "i")
        if element.type in FIXED and element.type != "uuid":
            self.put(f"if {items}: {self.sink}(pack(f'>{{len({items})}}{FIXED[element.type]}', *{items}))")
            return
        item = f"o{self.number()}"
        self.put(f"for {item} in {items}:")
        self.indent += 1
        if element.type == "struct":
            self.struct(element.of, item)
        else:
            self.field(element, item)
        self.flush()
        if self.lines[-1].endswith(f"for {item} in {items}:"):
            self.put("pass")
        self.indent -= 1
