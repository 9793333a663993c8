"""Builds the three native modules where a C compiler is at hand; `pyproject.toml` holds everything else.

`FELICE_NATIVE=1` makes a module that cannot be built an error; `FELICE_NATIVE=0` builds none.
Without either, the package installs all the same and runs on the plain twins.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

WANTED = os.environ.get("FELICE_NATIVE", "")
SOURCES = ("felice/wire/_records", "felice/producer/_accumulator", "felice/consumer/_batch")


def extensions() -> list[Extension]:
    if WANTED == "0":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if WANTED == "1":
            raise
        return []
    found = [name for name in SOURCES if Path("src", f"{name}.pyx").exists()]
    modules: list[Extension] = cythonize(
        [
            Extension(
                name.replace("/", "."),
                [f"src/{name}.pyx"],
                include_dirs=["src/felice/wire"],
                depends=[str(path) for path in Path("src/felice/wire").glob("*.h")],
                extra_compile_args=["-O3"],
            )
            for name in found
        ],
        include_path=["src"],
        build_dir="build/cython",
        compiler_directives={"language_level": 3},
    )
    for module in modules:  # cythonize makes new ones, which forget that they may fail
        module.optional = WANTED != "1"
    return modules


setup(ext_modules=extensions())
