"""Runs Kafka's tools against one broker, as its scripts would, and looks at what they say."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judges.cache import DISTRIBUTION, HERE
from judges.process import Child, run

TIMEOUT = 60.0
"""Seconds for one tool, of which Java takes one or two to start."""

_PACKAGES = {
    "ConfigCommand": "kafka.admin",
    "ConsoleShareConsumer": "org.apache.kafka.tools.consumer",
    "ConsumerGroupCommand": "org.apache.kafka.tools.consumer.group",
    "ReassignPartitionsCommand": "org.apache.kafka.tools.reassign",
    "ShareGroupCommand": "org.apache.kafka.tools.consumer.group",
}
_EXTRA = {"KAFKA_PATH": str(DISTRIBUTION), "LOG4J": str(HERE / "log4j2.xml"), "CLASSPATH": ""}


class Shell:
    """The tools as commands; each call starts a Java of its own."""

    def __init__(self, servers: str, folder: Path, log: Path) -> None:
        """`folder` is for files that tools are given, `log` keeps what they say."""
        self.servers = servers
        self.folder = folder
        self._log = log

    def __call__(self, tool: str, *arguments: object, status: int = 0, server: str = "--bootstrap-server") -> str:
        """Run a tool to its end; give what it says.

        Raises AssertionError when it ends with another status than `status`.
        """
        command = self._command(tool, arguments, server)
        with self._log.open("a") as log:
            print("$", tool, *arguments, file=log)
        done = run(command, TIMEOUT, extra=_EXTRA, log=self._log)
        assert done.status == status, f"{tool} ended with {done.status}: {_error(done.text)}"
        return done.text

    def child(self, tool: str, *arguments: object) -> Child:
        """Give a tool as a child, to be run beside others."""
        return Child(self._command(tool, arguments, "--bootstrap-server"), extra=_EXTRA, log=self._log)

    def file(self, content: Any) -> Path:
        """Write a file that a tool is given, as JSON unless it is text."""
        path = self.folder / uuid.uuid4().hex
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def topic(self, partitions: int = 2, **configs: object) -> str:
        """Create a topic under a name that nobody else uses."""
        name = fresh("letters")
        options = [f"--config={key.replace('_', '.')}={value}" for key, value in configs.items()]
        self("TopicCommand", "--create", "--topic", name, "--partitions", partitions, *options)
        return name

    def write(self, topic: str, count: int) -> None:
        """Write so many records of a hundred bytes."""
        said = self("ProducerPerformance", "--topic", topic, "--num-records", count, "--record-size", 100,
                    "--throughput", -1)  # fmt: skip
        says(said, rf"^{count} records sent")

    def _command(self, tool: str, arguments: tuple[object, ...], server: str) -> list[str | Path]:
        name = f"{_PACKAGES.get(tool, 'org.apache.kafka.tools')}.{tool}"
        where = [server, self.servers] if server else []
        return [DISTRIBUTION / "bin" / "kafka-run-class.sh", name, *where, *map(str, arguments)]


@dataclass(frozen=True)
class Case:
    """Something done with the tools; it raises AssertionError when they do not say what they should."""

    name: str
    use: Callable[[Shell], None]
    quick: bool = False


def says(text: str, *patterns: str) -> None:
    """Raise AssertionError unless every pattern is found in the text, `^` and `$` standing for its lines' ends."""
    for pattern in patterns:
        assert re.search(pattern, text, re.MULTILINE), f"nothing like {pattern!r} in: {_error(text)}"


def events(text: str) -> list[dict[str, Any]]:
    """Read the lines of JSON that the verifiable tools print."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def fresh(what: str) -> str:
    """Make a name that nobody else uses."""
    return f"{what}-{uuid.uuid4().hex[:10]}"


def _error(text: str) -> str:
    """Give the part of a tool's output that tells most."""
    named = [line for line in text.splitlines() if "Exception" in line or line.startswith(("Error", "Caused by"))]
    return " / ".join(named[:3]) or text[-400:]
