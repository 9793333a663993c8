"""The three compiled modules, their plain twins and their stubs: one interface, to `inspect` too.

The stub is the list: what it declares, both modules have, under the same signature; and the compiled module shows
nothing besides.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from felice import native

IMPLICIT = {"__init__", "__class_getitem__"}
"""Methods whose signature a compiled class does not tell in its own place."""


class Declared(NamedTuple):
    """A function of a stub, or a method of one of its classes."""

    module: str
    owner: str
    name: str
    shape: tuple[tuple[str, str, str], ...]


def stub_of(module: str) -> ast.Module:
    """Parse the stub that lies beside a compiled module."""
    package, _, leaf = module.rpartition(".")
    return ast.parse(Path(importlib.import_module(package).__path__[0], f"{leaf}.pyi").read_text())


def declared_shape(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[tuple[str, str, str], ...]:
    """The arguments that a stub declares: how each is given, its name, and whether it may be left out."""
    given = function.args
    plain = [(argument, "either") for argument in (*given.posonlyargs, *given.args)]
    optional = [False] * (len(plain) - len(given.defaults)) + [True] * len(given.defaults)
    shape = [(kind, each.arg, str(may)) for (each, kind), may in zip(plain, optional, strict=True)]
    if given.vararg:
        shape.append(("rest", given.vararg.arg, "True"))
    shape += [
        ("name", each.arg, str(default is not None))
        for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
    ]
    if given.kwarg:
        shape.append(("names", given.kwarg.arg, "True"))
    return tuple(shape)


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "either",  # `self` of a compiled method; the others are asserted to be named
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
    inspect.Parameter.VAR_POSITIONAL: "rest",
    inspect.Parameter.KEYWORD_ONLY: "name",
    inspect.Parameter.VAR_KEYWORD: "names",
}


def real_shape(function: object) -> tuple[tuple[str, str, str], ...]:
    """The same of a function that is there."""
    found = []
    for number, each in enumerate(inspect.signature(function).parameters.values()):  # type: ignore[arg-type]
        assert each.kind is not inspect.Parameter.POSITIONAL_ONLY or (number == 0 and each.name in ("self", "cls"))
        may = each.default is not inspect.Parameter.empty or "VAR" in each.kind.name
        found.append((KINDS[each.kind], each.name, str(may)))
    return tuple(found)


def declared() -> Iterator[Declared]:
    """All functions and methods of all stubs; of overloads the last, which has every argument."""
    for module in native.MODULES:
        found = {}
        for node in stub_of(module).body:
            if isinstance(node, ast.FunctionDef):
                found["", node.name] = declared_shape(node)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and not is_property(part):
                        found[node.name, part.name] = declared_shape(part)
        for (owner, name), shape in found.items():
            yield Declared(module, owner, name, shape)


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a method of a stub stands for an attribute."""
    return any(isinstance(mark, ast.Name) and mark.id == "property" for mark in function.decorator_list)


def attributes(module: str) -> Iterator[tuple[str, str]]:
    """The attributes and properties of the classes of a stub."""
    for node in stub_of(module).body:
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield node.name, part.target.id
                elif isinstance(part, ast.FunctionDef) and is_property(part):
                    yield node.name, part.name


def twins(module: str) -> list[ModuleType]:
    """Return the compiled module and the plain one."""
    return [importlib.import_module(name) for name in (module, f"{module}_plain")]


def name_of(each: Declared) -> str:
    """A test's name."""
    return ".".join(filter(None, (each.module.rpartition(".")[2], each.owner, each.name)))


@pytest.mark.parametrize("each", [found for found in declared() if found.name not in IMPLICIT], ids=name_of)
def test_both_have_what_the_stub_declares(each: Declared) -> None:
    """The same arguments, given in the same ways, with defaults where the stub has them."""
    shapes = []
    for module in twins(each.module):
        owner = getattr(module, each.owner) if each.owner else module
        function = getattr(owner, each.name)
        if each.name.startswith("__"):
            assert callable(function)
            continue
        shape = real_shape(function)
        wanted = each.shape[1:] if inspect.ismethod(function) or is_bound(function) else each.shape
        assert shape == wanted, f"{module.__name__}: {inspect.signature(function)}"
        shapes.append([parameter.default for parameter in inspect.signature(function).parameters.values()])
    assert not shapes or shapes[0] == shapes[1]


def is_bound(function: object) -> bool:
    """Tell whether a compiled class method has its class already."""
    return inspect.isclass(getattr(function, "__self__", None))


@pytest.mark.parametrize("module", native.MODULES)
def test_both_have_the_attributes_that_the_stub_declares(module: str) -> None:
    """On the class, in its slots, or set by its methods."""
    compiled, plain = twins(module)
    for owner, name in attributes(module):
        assert hasattr(getattr(compiled, owner), name), f"{compiled.__name__}.{owner}.{name}"
        found = getattr(plain, owner)
        written = any(f"self.{name}" in inspect.getsource(base) for base in found.__mro__[:-1] if is_ours(base))
        assert hasattr(found, name) or written, f"{plain.__name__}.{owner}.{name}"


def is_ours(owner: type) -> bool:
    """Tell whether a class is defined in this package, in Python."""
    return owner.__module__.startswith("felice")


@pytest.mark.parametrize("module", native.MODULES)
def test_the_compiled_module_shows_nothing_besides(module: str) -> None:
    """What is not in the stub is private, or was imported."""
    compiled, _ = twins(module)
    listed = {node.name for node in stub_of(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own = {
        name
        for name, found in vars(compiled).items()
        if not name.startswith("_") and getattr(found, "__module__", None) == module and callable(found)
    }
    assert own <= listed


@pytest.mark.parametrize("module", native.MODULES)
def test_constants_are_the_same(module: str) -> None:
    """Numbers that one side gives and the other one asks for."""
    compiled, plain = twins(module)
    for node in stub_of(module).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            if isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias":
                continue
            name, value = node.target.id, ast.literal_eval(node.value)
            assert getattr(compiled, name) == getattr(plain, name) == value, name


def test_a_builder_tells_how_it_is_made() -> None:
    """Compiled classes do not, unless their text says it."""
    compiled, plain = twins("felice.wire._records")
    assert real_shape(compiled.BatchBuilder) == real_shape(plain.BatchBuilder) == (("either", "capacity", "True"),)
