"""The same questions to real Kafka with an authorizer and to the embedded broker with one: of entries, and of whom they
keep out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import KafkaCluster
from questions import ALIKE, GUARDED, PERMISSIVE, Question

from asking import Asker, new_run
from felice.broker import Broker

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}
LENIENT = AUTHORIZER | {"super.users": "User:nobody", "allow.everyone.if.no.acl.found": "true"}


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
    _compare(GUARDED[name], f"{run}-{name}", guarded.bootstrap_servers, ours.bootstrap_servers)


@pytest.fixture(scope="module")
def lenient(kafka_libs: Path) -> Iterator[KafkaCluster]:
    """One node that lets everybody do what no entry speaks of."""
    with KafkaCluster(overrides=LENIENT) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ours_lenient() -> Iterator[Broker]:
    """The embedded broker, set up as that one is."""
    with Broker(auto_create=False, configs=ALIKE | LENIENT) as broker:
        yield broker


@pytest.mark.parametrize("name", PERMISSIVE)
def test_same_refusal(name: str, lenient: KafkaCluster, ours_lenient: Broker, run: str) -> None:
    """Real Kafka and the embedded broker refuse the same, with the same codes."""
    _compare(PERMISSIVE[name], f"{run}-{name}", lenient.bootstrap_servers, ours_lenient.bootstrap_servers)


def _compare(ask: Question, run: str, theirs: str, ours: str) -> None:
    """Ask both."""
    with Asker(theirs, run) as asker:
        expected = ask(asker)
    with Asker(ours, run) as asker:
        answer = ask(asker)
    assert answer == expected, ask.__doc__
