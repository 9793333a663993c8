"""The list of questions."""

from collections.abc import Callable
from typing import Any, TypeAlias

from asking import Asker

__all__ = ["QUESTIONS", "Question", "question"]

Question: TypeAlias = Callable[[Asker], Any]
"""Asks something of a broker, and returns the answers in a form that can be compared."""

QUESTIONS: dict[str, Question] = {}
"""All questions by name."""


def question(ask: Question) -> Question:
    """Add a question; its docstring says what is asked."""
    QUESTIONS[ask.__name__] = ask
    return ask
