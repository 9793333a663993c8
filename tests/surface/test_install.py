"""The package installs with and without a C compiler, and says which it did."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROUND_TRIP = """
import felice, felice.native
from felice.wire.records import BatchBuilder, read_records
builder = BatchBuilder()
builder.append(b"dear felice", key=b"franz", headers=[("city", b"Prag")], timestamp_ms=1912)
(record,) = read_records(memoryview(builder.seal()))
assert (record.key, record.value, record.timestamp_ms) == (b"franz", b"dear felice", 1912), record
print(felice.native.COMPILED, felice.__file__)
"""

Install = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Installs a copy of the sources, without anything built from them, into `tmp_path/site`."""
    source = tmp_path / "source"
    built = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info", "*.c")
    shutil.copytree(ROOT / "src", source / "src", ignore=built)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-cache-dir"]
        options = ["--no-build-isolation", "--no-deps", "--no-index", "--target", str(tmp_path / "site")]
        return call([*pip, *options, str(source)], **environment)

    return run


def call(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this change of environment, and FELICE_NATIVE only where it is named."""
    inherited = {key: value for key, value in os.environ.items() if key != "FELICE_NATIVE"}
    return subprocess.run(
        command, env=inherited | environment, cwd="/", capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.slow
def test_without_a_compiler_it_installs_works_and_says_so_once(install: Install, tmp_path: Path) -> None:
    """Built with CC=false the package installs, runs on the plain twins, and its log says so in one line."""
    done = install(CC="false")
    assert done.returncode == 0, done.stdout + done.stderr
    used = call([sys.executable, "-c", ROUND_TRIP], PYTHONPATH=str(tmp_path / "site"))
    assert used.returncode == 0, used.stderr
    assert used.stdout.split() == ["False", str(tmp_path / "site" / "felice" / "__init__.py")]
    assert len(used.stderr.splitlines()) == 1
    assert "felice runs on plain Python" in used.stderr


@pytest.mark.slow
def test_accepted_absence_is_silent_and_refused_absence_an_error(install: Install, tmp_path: Path) -> None:
    """FELICE_NATIVE=0 builds nothing and says nothing at run time; FELICE_NATIVE=1 then refuses the import."""
    assert install(FELICE_NATIVE="0").returncode == 0
    assert not list((tmp_path / "site").rglob("*.so"))
    site = str(tmp_path / "site")
    used = call([sys.executable, "-c", ROUND_TRIP], PYTHONPATH=site, FELICE_NATIVE="0")
    assert (used.returncode, used.stderr) == (0, "")
    refused = call([sys.executable, "-c", ROUND_TRIP], PYTHONPATH=site, FELICE_NATIVE="1")
    assert refused.returncode != 0
    assert "FELICE_NATIVE=1, but felice.wire._records" in refused.stderr


@pytest.mark.slow
def test_native_code_demanded_without_a_compiler_fails_the_build(install: Install, tmp_path: Path) -> None:
    """FELICE_NATIVE=1 with CC=false installs nothing."""
    done = install(CC="false", FELICE_NATIVE="1")
    assert done.returncode != 0
    assert not (tmp_path / "site" / "felice").exists()
