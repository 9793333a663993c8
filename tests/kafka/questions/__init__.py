"""What is asked of real Kafka and of the embedded broker."""

from questions import configs, connections, fetch, metadata, offsets, produce, producers, topics
from questions.asked import QUESTIONS, Question

__all__ = [
    "QUESTIONS",
    "Question",
    "configs",
    "connections",
    "fetch",
    "metadata",
    "offsets",
    "produce",
    "producers",
    "topics",
]
