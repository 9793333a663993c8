"""The how-to about tests does what it says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from howto import example
from pytest_runs import passed, run_pytest


@pytest.mark.parametrize(
    "containing",
    [
        "def forward",
        "felice_cluster",
        "faults.history",
        "pass_on",
        "freeze",
        "ShareConsumer",
        "wait_for_records",
        "Killer",
        "unclean",
        "FaultProxy",
    ],
)
def test_the_pytest_examples(containing: str, tmp_path: Path) -> None:
    """They pass as they stand."""
    done = run_pytest(tmp_path, example("python", containing))
    assert passed(done, 1), done.stdout


def test_the_conftest_example(tmp_path: Path) -> None:
    """What it asks for is there for all tests."""
    (tmp_path / "conftest.py").write_text(example("python", "pytest_sessionstart"))
    test = """
def test_mine(felice_session_broker, felice_broker):
    assert felice_session_broker.topics == felice_broker.topics == {"letters": 4}
"""
    done = run_pytest(tmp_path, test)
    assert passed(done, 1), done.stdout


def test_the_unittest_example(tmp_path: Path) -> None:
    """It passes with unittest's own runner."""
    (tmp_path / "test_sending.py").write_text(example("python", "unittest"))
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "test_sending"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


@pytest.mark.skipif(not shutil.which("kcat"), reason="needs kcat")
def test_the_shell_example(tmp_path: Path) -> None:
    """A script starts the broker, uses it with kcat, and ends it."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", example("sh", "ready-file")],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["Dearest Felice,"]
    assert not (tmp_path / "ready.txt").exists()
