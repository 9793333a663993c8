"""The lists of questions, and how a question waits."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

from asking import PATIENCE, Asker

__all__ = ["ALIKE", "GUARDED", "PERMISSIVE", "QUESTIONS", "Question", "eventually", "guarded", "permissive", "question"]

ALIKE: dict[str, object] = {
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,
    "default.replication.factor": 1,
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.cleaner.dedupe.buffer.size": 1048577,
    "min.insync.replicas": 1,
    "num.partitions": 4,
    "offsets.topic.num.partitions": 1,
    "offsets.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
}
"""What makes the embedded broker like the single real node that is asked."""

Question: TypeAlias = Callable[[Asker], Any]
"""Asks something of a broker, and returns the answers in a form that can be compared."""

QUESTIONS: dict[str, Question] = {}
"""All questions by name."""

GUARDED: dict[str, Question] = {}
"""Questions to a broker that has an authorizer, by name."""


PERMISSIVE: dict[str, Question] = {}
"""Questions to a broker whose authorizer lets everybody do what no entry speaks of, by name."""


def question(ask: Question) -> Question:
    """Add a question; its docstring says what is asked."""
    QUESTIONS[ask.__name__] = ask
    return ask


def guarded(ask: Question) -> Question:
    """Add a question to a broker with an authorizer that lets everybody do everything."""
    GUARDED[ask.__name__] = ask
    return ask


def permissive(ask: Question) -> Question:
    """Add a question to a broker with an authorizer that lets everybody do what no entry speaks of."""
    PERMISSIVE[ask.__name__] = ask
    return ask


def eventually(seen: Callable[[], bool]) -> None:
    """Wait until something is so: real Kafka's brokers learn of most changes after the answer, and tell nobody."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.01)
