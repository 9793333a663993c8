"""Kafka's own message classes, out of its jars, judge ours byte by byte: also the records, which other judges lack."""

import subprocess
from pathlib import Path

from felice.wire.messages import offsets_topic, share_state_topic, transaction_log
from felice.wire.schema import Message, RecordKey, Request, Response
from message_values import each_version, for_all, values, written_down

JUDGE = Path(__file__).with_name("JudgeMessages.java")

EXAMPLES = 10
"""Values per message and version; there are about six hundred of these."""

PACKAGES: dict[str, str] = {
    one.__name__: f"org.apache.kafka.coordinator.{place}.generated"
    for place, topic in (("group", offsets_topic), ("transaction", transaction_log), ("share", share_state_topic))
    for key in topic.KEYS.values()
    for one in (key, key.value)
}
"""Where Kafka has the records of its coordinators' topics."""


def java_class(message: type[Message]) -> str:
    """The full name of Kafka's class for a message."""
    name = message.__name__
    if name in PACKAGES:
        return f"{PACKAGES[name]}.{name}"
    return f"org.apache.kafka.common.message.{name}{'Data' if issubclass(message, Request | Response) else ''}"


def judged(libs: Path, lines: list[str]) -> list[str]:
    """Run the judge; give its answers, one a line."""
    told = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", str(JUDGE)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()


def test_kafkas_classes_read_what_we_write_and_write_the_same(kafka_libs: Path) -> None:
    """Every message in every version, nulls, tags and defaults included."""
    lines = []
    for message, version in each_version(written_down()):
        name = java_class(message)

        def note(value: Message, start: str = f"{name} {version}", version: int = version) -> None:
            lines.append(f"{start} {b''.join(value.encode(version)).hex()}")

        note(message())
        for_all(values(message, version), note, EXAMPLES)
    assert any(issubclass(message, RecordKey) for message in written_down())
    answers = judged(kafka_libs, lines)
    assert len(answers) == len(lines)
    for line, answer in zip(lines, answers, strict=True):
        assert answer == line.rpartition(" ")[2], line
