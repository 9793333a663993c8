"""The same questions about ACLs to real Kafka with an authorizer and to the embedded broker with one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import KafkaCluster
from questions import ALIKE, GUARDED

from asking import Asker, new_run
from felice.broker import Broker

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


@pytest.fixture(scope="module")
def run() -> str:
    """A name for this run's resources."""
    return new_run()


@pytest.fixture(scope="module")
def guarded(kafka_libs: Path) -> Iterator[KafkaCluster]:
    """One node that knows who may do what, and lets us do everything."""
    with KafkaCluster(overrides=AUTHORIZER) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ours() -> Iterator[Broker]:
    """The embedded broker, set up as the real one is."""
    with Broker(auto_create=False, configs=ALIKE | AUTHORIZER) as broker:
        yield broker


@pytest.mark.parametrize("name", GUARDED)
def test_same_answer(name: str, guarded: KafkaCluster, ours: Broker, run: str) -> None:
    """Real Kafka and the embedded broker give the same answer."""
    ask = GUARDED[name]
    with Asker(guarded.bootstrap_servers, f"{run}-{name}") as theirs:
        expected = ask(theirs)
    with Asker(ours.bootstrap_servers, f"{run}-{name}") as asker:
        answer = ask(asker)
    assert answer == expected, ask.__doc__
