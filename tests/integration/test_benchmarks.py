"""The benchmarks run, all cases of them: figures that nobody can repeat are worth nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "broker"),
    [("produce", "sink"), ("consume", "null"), ("latency", "embedded"), ("codec", "none"), ("start", "none")],
)
def test_every_case_gives_figures(name: str, broker: str, tmp_path: Path) -> None:
    """One short round of a benchmark measures felice and every peer, and writes the figures as JSON."""
    path = tmp_path / "figures.json"
    options = ["--quick", "--rounds", "1", "--broker", broker, "--json", str(path)]
    if name in ("produce", "consume", "codec"):
        options += ["--size", "100"]
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(path.read_text())
    assert (report["benchmark"], report["broker"]) == (name, broker)
    cases = [row["case"] for row in report["rows"]]
    for library in ("felice", "confluent", "aiokafka", "kafka-python"):
        assert any(library in case for case in cases) or name == "codec"
    for row in report["rows"]:
        assert row["figures"], row
        assert all(figure > 0 for figures in row["figures"].values() for figure in figures), row
