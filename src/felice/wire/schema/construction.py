"""Generates the constructors of structs, and values that are made anew for each message."""

from collections.abc import Callable
from typing import Any

from felice.wire.schema.notation import Field

__all__ = ["constructor", "default"]


def default(field: Field) -> Any:
    """Return the value of a field that a message does not carry."""
    if field.default is None:
        return None
    if field.type == "struct":
        return field.of()
    return [] if field.type == "array" else field.default


def constructor(cls: Any) -> Callable[..., None]:
    """Compile the `__init__` of a struct: keywords only, each with the default of its field."""
    constants: dict[str, Any] = {}
    parameters = []
    lines = []
    for number, field in enumerate(cls.__fields__):
        name = field.name
        if field.default is not None and field.type in ("array", "struct"):
            # Made anew for each value, so the sentinel stands in for it.
            made = f"make{number}"
            constants[made] = list if field.type == "array" else field.of
            parameters.append(f"{name}=absent")
            lines.append(f"self.{name} = {made}() if {name} is absent else {name}")
        else:
            constants[f"default{number}"] = field.default
            parameters.append(f"{name}=default{number}")
            lines.append(f"self.{name} = {name}")
    signature = ", ".join(["self", "*", *parameters] if parameters else ["self"])
    body = "\n    ".join(lines or ["pass"])
    constants["absent"] = object()
    exec(f"def __init__({signature}):\n    {body}\n", constants)
    made_init: Callable[..., None] = constants["__init__"]
    made_init.__qualname__ = f"{cls.__qualname__}.__init__"
    made_init.__module__ = cls.__module__
    return made_init
