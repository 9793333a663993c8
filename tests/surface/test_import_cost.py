"""Importing starts nothing and takes next to no time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = 7


def run(code: str, cache: Path) -> str:
    """Run code in a fresh interpreter whose compiled files are kept in `cache`."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPYCACHEPREFIX": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def milliseconds(statement: str, cache: Path) -> float:
    """Return the least CPU time in which a fresh interpreter runs the statement: others may use the machine too."""
    code = f"import time; t = time.process_time(); {statement}; print((time.process_time() - t) * 1e3)"
    run(code, cache)
    return min(float(run(code, cache)) for _ in range(ROUNDS))


def test_importing_starts_no_thread_and_opens_no_socket(tmp_path: Path) -> None:
    """`from felice import Producer, Consumer` leaves one thread and the standard descriptors."""
    code = """
import os, socket, threading
made = []
old = socket.socket.__init__
socket.socket.__init__ = lambda self, *a, **k: (made.append(1), old(self, *a, **k))[1]
before = len(os.listdir("/proc/self/fd"))
from felice import Producer, Consumer
print(threading.active_count(), len(os.listdir("/proc/self/fd")) - before, len(made))
"""
    assert run(code, tmp_path).split() == ["1", "0", "0"]


@pytest.mark.parametrize(
    ("statement", "limit"), [("import felice", 20), ("from felice import Producer, Consumer", 100)]
)
def test_importing_is_quick(statement: str, limit: float, tmp_path: Path) -> None:
    """The best of a few imports stays below the limit in milliseconds; the rest is the machine's business."""
    assert milliseconds(statement, tmp_path) < limit
