"""What a share group's state is kept by: one group, one partition of one topic."""

import base64
from typing import NamedTuple

__all__ = ["SharePartition"]


class SharePartition(NamedTuple):
    """A partition as one share group reads it."""

    group_id: str
    topic_id: bytes
    partition: int

    @property
    def coordinator_key(self) -> str:
        """The text by which its share coordinator is found: `group:topicId:partition` (KIP-932)."""
        topic_id = base64.urlsafe_b64encode(self.topic_id).decode().rstrip("=")
        return f"{self.group_id}:{topic_id}:{self.partition}"
