"""Chooses, once for the whole process, between the compiled modules and their plain twins.

Three modules exist twice: `wire/_records`, `producer/_accumulator` and `consumer/_batch` are compiled, and beside
each stands a twin of the same names in plain Python (`_records_plain`, ...). They share C structures, so it is all
three or none. The environment variable `FELICE_NATIVE` decides: `1` insists on the compiled ones and raises where
they are missing, `0` takes the twins, and without it the compiled ones are taken where they can be imported; where
they cannot, that is said once, in the log.
"""

import importlib
import importlib.machinery
import logging
import os
from types import ModuleType

MODULES = ("felice.wire._records", "felice.producer._accumulator", "felice.consumer._batch")

_log = logging.getLogger("felice")


def _compiled() -> bool:
    """Decide whether the compiled modules are used."""
    wanted = os.environ.get("FELICE_NATIVE", "")
    if wanted not in ("", "0", "1"):
        raise ImportError(f"FELICE_NATIVE={wanted!r}: give 1 (insist on the compiled modules), 0 (use none) or nothing")
    if wanted == "0":
        return False
    missing = [name for name in MODULES if not _present(name)]
    if not missing:
        return True
    if wanted == "1":
        raise ImportError(
            f"FELICE_NATIVE=1, but {', '.join(missing)} is not compiled: install with a C compiler at hand, "
            "or unset FELICE_NATIVE to run on plain Python"
        )
    _log.warning(
        "felice runs on plain Python, many times slower: %s not compiled (a C compiler at installation mends it; "
        "FELICE_NATIVE=0 accepts it silently)",
        ", ".join(missing),
    )
    return False


def _present(name: str) -> bool:
    """Tell whether the module is there as a shared library (without importing it)."""
    package, _, leaf = name.rpartition(".")
    folder = os.path.join(os.path.dirname(__file__), *package.split(".")[1:])
    return any(os.path.exists(os.path.join(folder, leaf + suffix)) for suffix in importlib.machinery.EXTENSION_SUFFIXES)


COMPILED: bool = _compiled()


def pick(name: str) -> ModuleType:
    """Import the compiled module of this name, or its plain twin."""
    if name not in MODULES:
        raise ImportError(f"{name} has no twin; the modules that have one are {', '.join(MODULES)}")
    return importlib.import_module(name if COMPILED else f"{name}_plain")
