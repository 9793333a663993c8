"""The public surface is a list: every exported name, and the signature of everything that can be called on it.

`python tests/surface/test_public.py` writes the list anew, for a change that is meant; the diff is then its record.
"""

import enum
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import felice
import felice.broker

LIST = Path(__file__).with_name("public.txt")


def shape(function: object) -> str:
    """Return a signature without its annotations: names, kinds and defaults, which compiled code tells too."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    text = str(signature.replace(parameters=plain, return_annotation=signature.empty))
    return text.replace("(/, ", "(").replace("(/)", "()")


def members(cls: type) -> Iterator[tuple[str, object]]:
    """Yield the public members of a class, inherited ones too, as they are found on it."""
    for name in sorted(dir(cls)):
        if not name.startswith("_") and not (issubclass(cls, tuple | enum.Enum) and hasattr(tuple, name)):
            yield name, inspect.getattr_static(cls, name)


def lines() -> Iterator[str]:
    """Yield the list, a line a name."""
    exported = [(name, getattr(felice, name)) for name in sorted(felice.__all__)]
    exported += [(f"broker.{name}", getattr(felice.broker, name)) for name in sorted(felice.broker.__all__)]
    for name, value in exported:
        if not isinstance(value, type):
            yield name
            continue
        bases = ", ".join(base.__name__ for base in value.__mro__[1:-1] if base.__module__.startswith("felice.err"))
        yield f"{name}({bases})" if bases else name
        if issubclass(value, BaseException | enum.Enum):
            continue
        for member, found in members(value):
            if callable(found) or isinstance(found, staticmethod | classmethod):
                asynchronous = "async " if inspect.iscoroutinefunction(found) else ""
                yield f"  {name}.{member}: {asynchronous}{shape(getattr(value, member))}"
            else:
                yield f"  {name}.{member}"


def test_the_surface_is_the_list() -> None:
    """What can be imported and called is what public.txt says, no more and no less."""
    assert list(lines()) == LIST.read_text().splitlines()


PAIRS = [(felice.Producer, felice.AsyncProducer), (felice.Consumer, felice.AsyncConsumer)]


@pytest.mark.parametrize(("face", "async_face"), PAIRS)
def test_the_faces_have_the_same_names_and_arguments(face: type, async_face: type) -> None:
    """What waits in the sync face is awaited in the async face, and nothing else differs."""

    def table(cls: type) -> dict[str, str]:
        return {name: shape(getattr(cls, name)) if callable(found) else "a property" for name, found in members(cls)}

    assert table(face) == table(async_face)
    assert shape(face) == shape(async_face)


@pytest.mark.parametrize(("face", "async_face"), PAIRS)
def test_the_faces_are_entered_alike(face: type, async_face: type) -> None:
    """`with` and `for` of one face are `async with` and `async for` of the other."""
    for sync_name, async_name in [("enter", "aenter"), ("exit", "aexit"), ("iter", "aiter"), ("next", "anext")]:
        assert hasattr(face, f"__{sync_name}__") == hasattr(async_face, f"__{async_name}__")
        assert not hasattr(async_face, f"__{sync_name}__")


if __name__ == "__main__":
    LIST.write_text("\n".join(lines()) + "\n")
    sys.stdout.write(f"{LIST.name} is written\n")
