"""What all parts of `Broker` stand on: its cluster, and how it is reached from any thread."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeVar

from felice.broker.cluster import Cluster
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.errors import ErrorCode

__all__ = ["Access", "Named"]

T = TypeVar("T")


class Named(dict[str, T]):
    """What there is now of a kind, by name; who looks for another name is told which there are."""

    def __init__(self, kind: str, found: Mapping[str, T]) -> None:
        super().__init__(found)
        self._kind = kind

    def __missing__(self, name: str) -> T:
        """Raise `KeyError`."""
        known = ", ".join(map(repr, self))
        raise KeyError(f"there is no {self._kind} {name!r}, but {known or 'none at all'}")


class Access(ABC):
    """The base of those parts."""

    _cluster: Cluster

    @abstractmethod
    def _run(self, function: Callable[[], T]) -> T:
        """Do something on the broker's loop; what it refuses becomes a `BrokerError`."""

    # --- on the loop ---

    def _topic(self, name: str) -> Topic:
        """Return a topic, or refuse with words for whoever wrote the test; clients get the code alone."""
        found = self._cluster.topics.get(name)
        if found is None:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name!r}")
        return found

    def _partition(self, topic: str, index: int) -> Partition:
        """Return a partition, or refuse likewise."""
        known = self._topic(topic)
        found = known.partition(index)
        if found is None:
            last = len(known.partitions) - 1
            raise Refused(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {topic!r} has partitions 0 to {last}, and no {index}"
            )
        return found
