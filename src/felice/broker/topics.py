"""Topics: which names they may have, and what one is."""

import re

from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.errors import ErrorCode

__all__ = ["INTERNAL", "MAX_NAME", "Topic", "check_name", "collision_key"]

MAX_NAME = 249
INTERNAL = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})
"""Topics that Kafka keeps for itself."""

_legal = re.compile(r"[a-zA-Z0-9._-]+\Z")


def check_name(name: str) -> None:
    """Refuse a name that no topic may have."""
    if not name:
        wrong = "is empty"
    elif name in (".", ".."):
        wrong = "is a folder's name"
    elif len(name) > MAX_NAME:
        wrong = f"has {len(name)} characters; {MAX_NAME} is the most"
    elif not _legal.match(name):
        wrong = "may have ASCII letters, digits, '.', '_' and '-' only"
    else:
        return
    raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, f"the topic name {name!r} {wrong}")


def collision_key(name: str) -> str:
    """Return what must differ between any two topics: metrics tell '.' and '_' not apart."""
    return name.replace(".", "_")


class Topic:
    """A topic: its name, its ID (16 bytes), its partitions in order and its settings."""

    __slots__ = ("id", "layout", "name", "partitions", "settings")

    def __init__(self, name: str, topic_id: bytes, partitions: list[Partition], settings: Settings) -> None:
        self.name = name
        self.id = topic_id
        self.partitions = partitions
        self.settings = settings
        self.layout = 0
        """A number that goes up when there are more partitions, or other replicas of one."""

    @property
    def is_internal(self) -> bool:
        """Whether it is one of Kafka's own."""
        return self.name in INTERNAL

    def partition(self, index: int) -> Partition | None:
        """Return a partition, or None where there is none with this index."""
        return self.partitions[index] if 0 <= index < len(self.partitions) else None
