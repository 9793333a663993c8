"""What is asked of real Kafka and of the embedded broker."""

from questions import alterations, configs, connections, fetch, metadata, offsets, produce, producers, topics
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
    "metadata",
    "offsets",
    "produce",
    "producers",
    "topics",
]
