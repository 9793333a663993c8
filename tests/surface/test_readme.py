"""The examples in the README run as they stand there."""

import re
from pathlib import Path

import pytest

from felice.broker import Broker

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def cluster() -> Broker:
    """Return one broker for all examples: they read what the first of them has written."""
    with Broker(topics={"letters": 1}) as broker:
        yield broker


@pytest.mark.parametrize(("heading", "code"), EXAMPLES, ids=[heading for heading, _ in EXAMPLES])
def test_examples_run(heading: str, code: str, cluster: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example does what its comments say, on a broker in place of localhost:9092."""
    space: dict[str, object] = {"__name__": "example"}
    exec(compile(code.replace("localhost:9092", cluster.bootstrap_servers), heading, "exec"), space)
    for name, value in space.items():
        if name.startswith("test_"):
            assert callable(value)
            value()
    printed = capsys.readouterr().out
    if heading == "Sending":
        assert "RecordMetadata(topic='letters', partition=0, offset=1" in printed
    if heading == "Reading":
        assert "b'Dearest Felice,'" in printed


def test_there_are_examples() -> None:
    """A producer, a consumer, asyncio and the broker in a test."""
    assert [heading for heading, _ in EXAMPLES] == ["Sending", "Reading", "With asyncio", "A Kafka for your tests"]
