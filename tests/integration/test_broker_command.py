"""`python -m felice.broker`, as people and scripts start it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asking import Asker
from felice.wire.messages.metadata import MetadataRequest

COMMAND = [sys.executable, "-m", "felice.broker"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_end(tmp_path: Path, number: int) -> None:
    """It says when it is ready, on its output and in a file, serves, and ends well; the file goes with it."""
    ready = tmp_path / "ready"
    command = [*COMMAND, "--port", "0", "--nodes", "2", "--topic", "letters:3", "--topic", "diaries"]
    with subprocess.Popen(
        [*command, "--ready-file", str(ready)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        word, addresses = process.stdout.readline().split()
        assert word == "ready"
        assert ready.read_text().strip() == addresses
        with Asker(addresses, "") as asker:
            topics = asker.ask(MetadataRequest(topics=None), 9).topics
            assert {topic.name: len(topic.partitions) for topic in topics} == {"letters": 3, "diaries": 1}
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
        assert not ready.exists()


def test_it_is_ready_soon() -> None:
    """A fresh process is ready in about half a second, most of it Python's own."""
    started = time.perf_counter()
    with subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        took = time.perf_counter() - started
        process.terminate()
    assert took < 2


def test_it_explains_itself() -> None:
    """`--help` names every option."""
    shown = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--port", "--topic", "--nodes", "--ready-file", "--config", "--host", "--auto-create"):
        assert option in shown


def test_it_logs_who_and_what_comes_and_goes() -> None:
    """With `-v`: nodes, topics and clients; not each request."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", "--topic", "letters:3", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        _, address = process.stdout.readline().split()
        with Asker(address, "") as asker:
            asker.ask(MetadataRequest(topics=None), 9)
        process.terminate()
        _, logged = process.communicate(timeout=10)
    for line in (
        f" INFO node 1 is up at {address}\n",
        " INFO topic letters is there, partitions: 3\n",
        " is client 'asker'\n",
        " is gone\n",
    ):
        assert line in logged
    assert "Metadata" not in logged


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--topic", "letters:many"], "name:partitions"),
        (["--topic", "not a name"], "INVALID_TOPIC_EXCEPTION"),
        (["--config", "nothing"], "key=value"),
        (["--config", "message.maximum=1"], "message.maximum"),
        (["--nodes", "0"], "--nodes"),
        (["--ready-file", "nowhere/ready"], "there is no folder nowhere"),
    ],
)
def test_wrong_options_are_told_in_a_line(options: list[str], said: str) -> None:
    """No traceback, but what is wrong, and a status that says so."""
    ended = subprocess.run([*COMMAND, "--port", "0", *options], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
