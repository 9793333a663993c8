"""What is asked of real Kafka and of the embedded broker."""

from questions import (
    alterations,
    configs,
    connections,
    fetch,
    groups,
    metadata,
    offsets,
    produce,
    producers,
    topics,
    transactional_offsets,
    transactional_records,
    transactions,
)
from questions.asked import ALIKE, GUARDED, QUESTIONS, Question

__all__ = [
    "ALIKE",
    "GUARDED",
    "QUESTIONS",
    "Question",
    "alterations",
    "configs",
    "connections",
    "fetch",
    "groups",
    "metadata",
    "offsets",
    "produce",
    "producers",
    "topics",
    "transactional_offsets",
    "transactional_records",
    "transactions",
]
