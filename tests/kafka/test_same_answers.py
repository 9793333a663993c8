"""The same questions to real Kafka and to the embedded broker: equal answers, but for IDs, times and wording."""

from collections.abc import Iterator

import pytest
from cluster import KafkaCluster
from questions import ALIKE, QUESTIONS

from asking import Asker, new_run
from felice.broker import Broker


@pytest.fixture(scope="module")
def run() -> str:
    """A name for this run's topics."""
    return new_run()


@pytest.fixture(scope="module")
def ours() -> Iterator[Broker]:
    """The embedded broker, set up as the real one is."""
    with Broker(auto_create=False, configs=ALIKE) as broker:
        yield broker


@pytest.mark.parametrize("name", QUESTIONS)
def test_same_answer(name: str, kafka: KafkaCluster, ours: Broker, run: str) -> None:
    """Real Kafka and the embedded broker give the same answer."""
    ask = QUESTIONS[name]
    with Asker(kafka.bootstrap_servers, f"{run}-{name}") as theirs:
        expected = ask(theirs)
    with Asker(ours.bootstrap_servers, f"{run}-{name}") as asker:
        answer = ask(asker)
    assert answer == expected, ask.__doc__
