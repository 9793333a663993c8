"""Runs pytest over somebody's tests, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["PORTABLE", "passed", "run_pytest"]

ROUND_TRIP = """
from felice import Consumer, Producer

def round_trip(servers, topic):
    with Producer(servers) as producer:
        producer.send_and_wait(topic, b"Dearest Felice,")
    with Consumer(servers, topic) as consumer:
        return next(iter(consumer)).value
"""


PORTABLE = """
import pytest
from trip import round_trip

@pytest.mark.felice(topics={"letters": 2}, real=True)
def test_anywhere(felice_cluster):
    topic = felice_cluster.topic("letters")
    assert round_trip(felice_cluster.bootstrap_servers, topic) == b"Dearest Felice,"
    assert (felice_cluster.broker is None) == REAL
    assert (topic == "letters") != REAL
    assert felice_cluster.topic("cards", 3) == felice_cluster.topic("cards")

@pytest.mark.felice(topics={"letters": 2})
def test_here_only(felice_cluster):
    assert felice_cluster.broker is not None
"""
"""Tests for the embedded broker and for any cluster; what holds in only one of the two hangs on `REAL`."""


def run_pytest(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests with options."""
    (folder / "trip.py").write_text(ROUND_TRIP)
    (folder / "test_mine.py").write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", *options]
    return subprocess.run(
        [*command, "test_mine.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def passed(done: subprocess.CompletedProcess[str], number: int) -> bool:
    """Tell whether so many tests passed and nothing else came of it."""
    return done.returncode == 0 and f"{number} passed" in done.stdout
