"""The states of a classic group."""

from enum import StrEnum

__all__ = ["Phase"]


class Phase(StrEnum):
    """A state, by Kafka's name."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"
