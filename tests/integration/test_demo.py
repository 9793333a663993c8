"""The demo runs as a stranger runs it."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.py"


def test_the_demo_sends_reads_back_and_compares_real_records() -> None:
    """A part of the flights goes through felice's own broker; every record is compared, tables and bars are shown."""
    command = [sys.executable, str(DEMO), "--limit", "20000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 20,000 records came back as they were sent" in done.stdout
    assert "ExpressJet Airlines" in done.stdout
    assert "█" in done.stdout
    assert "a lone record sent and acknowledged" in done.stdout
    assert "Traceback" not in done.stderr
