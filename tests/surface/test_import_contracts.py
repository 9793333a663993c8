"""What may import what: the arrows of the house, read from every import statement."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import felice

SOURCE = Path(felice.__file__).parent

FIRST = {"errors", "error_codes", "types", "events", "config", "clock", "native"}
ROOMS = {
    **dict.fromkeys(FIRST, FIRST),
    "wire": FIRST,
    "cluster": FIRST | {"wire"},
    "producer": FIRST | {"wire", "cluster"},
    "consumer": FIRST | {"wire", "cluster"},
    # The broker judges the client: it must not share the client's mistakes.
    "broker": FIRST | {"wire"},
    # Nothing imports it.
    "testing": FIRST | {"wire", "cluster", "producer", "consumer", "broker"},
}
THIRD_PARTY = {
    "cramjam": "felice.wire.compression",
    "crc32c": "felice.wire._records_plain",
    "click": "felice.broker.__main__",
    "pytest": "felice.testing.plugin",  # which pytest loads; felice does not need it
    "uvloop": "felice.cluster.engine",
    "typing_extensions": "felice.types",  # for type checkers, which bring it along; never imported
}
"""Each package from elsewhere, and the one module or package that may import it."""

_CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module's name and file, compiled sources too."""
    for path in sorted(SOURCE.rglob("*.py*")):
        if path.suffix in (".py", ".pyx", ".pxd"):
            name = ".".join(("felice", *path.relative_to(SOURCE).with_suffix("").parts))
            yield name.removesuffix(".__init__"), path


def imported(path: Path) -> Iterator[str]:
    """Yield the full name of everything that a file imports, anywhere in it."""
    text = path.read_text()
    if path.suffix != ".py":
        code = re.sub(r'"""(?:.|\n)*?"""', "", text)
        for found in _CIMPORT.finditer(code):
            yield found[1] or found[2]
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            assert node.module
            yield node.module
            if node.module in ("felice", "felice.cluster", "felice.wire"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


CASES = [pytest.param(path, name, id=name + path.suffix) for name, path in modules()]


@pytest.mark.parametrize(("path", "name"), CASES)
def test_arrows_point_down(path: Path, name: str) -> None:
    """A room imports itself and the rooms below it; rooms side by side never import each other."""
    parts = name.split(".")
    if len(parts) == 1:
        return  # The package itself names everything public, lazily.
    room = parts[1]
    assert room in ROOMS, f"{name}: say in this test what the room {room} may import"
    for target in imported(path):
        if target.startswith("felice."):
            to = target.split(".")[1]
            assert to == room or to in ROOMS[room], f"{name} imports {target}"


@pytest.mark.parametrize(("path", "name"), CASES)
def test_packages_from_elsewhere_stay_in_their_leaf(path: Path, name: str) -> None:
    """A third-party package is imported in one place."""
    for target in imported(path):
        package = target.split(".")[0]
        if package in sys.stdlib_module_names or package in ("felice", "cpython", "libc", "cython"):
            continue
        home = THIRD_PARTY.get(package)
        assert home is not None, f"{name} imports {package}, which has no home here"
        assert name == home or name.startswith(f"{home}."), f"{name} imports {package}, which is for {home} alone"
