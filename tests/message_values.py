"""Generated messages: strategies for values that a version of a message can carry."""

import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from felice.wire import messages
from felice.wire.schema import Field, Message

Override = Callable[[Field], "st.SearchStrategy[Any] | None"]
"""Gives the strategy for a field that is to have its own, and None for any other."""


@cache
def written_down() -> tuple[type[Message], ...]:
    """All messages in the repository, module by module: requests, responses, and those without an API."""
    names = sorted(info.name for info in pkgutil.iter_modules(messages.__path__))
    modules = [import_module(f"{messages.__name__}.{name}") for name in names if name != "registry"]
    found = [getattr(module, name) for module in modules for name in module.__all__]
    return tuple(one for one in found if isinstance(one, type) and issubclass(one, Message))


def each_version(messages: Iterable[type[Message]]) -> list[tuple[type[Message], int]]:
    """Every message in every version that it has."""
    return [(m, v) for m in messages for v in range(m.min_version, m.max_version + 1)]


def name_of(value: object) -> str:
    """What pytest shows for a parameter that is a class."""
    return value.__name__ if isinstance(value, type) else str(value)


def _integers(bits: int, signed: bool = True) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1, 127])


TYPES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int8": _integers(8),
    "int16": _integers(16),
    "int32": _integers(32),
    "int64": _integers(64),
    "uint16": _integers(16, signed=False),
    "uint32": _integers(32, signed=False),
    "float64": st.floats(allow_nan=False),
    "uuid": st.binary(min_size=16, max_size=16) | st.just(bytes(16)),
    # Of 126 to 128 bytes too, where a compact length grows to two bytes.
    "string": st.text(max_size=6) | st.integers(125, 130).map(lambda size: "x" * size),
    "binary": st.binary(max_size=6) | st.integers(125, 130).map(bytes),
    "records": st.binary(max_size=6) | st.integers(125, 130).map(bytes),
}


def no_override(field: Field) -> None:
    """Leave every field to its type."""


@cache
def values(message: type, version: int, override: Override = no_override) -> st.SearchStrategy[Any]:
    """Values of a message or struct; a field that this version lacks stays at its default."""
    return st.builds(
        message,
        **{f.name: _of(f, version, override) for f in message.__fields__ if version in f.versions},
    )


def _of(field: Field, version: int, override: Override) -> st.SearchStrategy[Any]:
    found = override(field)
    if found is None:
        if field.type == "array":
            found = st.lists(_of(field.of, version, override), max_size=3)
        elif field.type == "struct":
            found = values(field.of, version, override)
        else:
            found = TYPES[field.type]
    return st.none() | found if version in field.nullable else found


def for_all(strategy: st.SearchStrategy[Any], check: Callable[[Any], None], examples: int) -> None:
    """Try some values; a failure shows the smallest one and how to see it again."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value: Any) -> None:
        check(value)

    run()
