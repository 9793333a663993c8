"""A member of a share group (KIP-932), as a value: whatever changes makes a new one."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final, NamedTuple

from felice.broker.groups.assignors import Assignment

__all__ = ["LEAVING", "LONGEST_MEMBER_ID", "NEW", "ShareMember"]

NEW = 0
"""The epoch of a member that joins."""

LEAVING = -1
"""The epoch of a request by which a member leaves."""

LONGEST_MEMBER_ID: Final = 36
"""Characters: the member makes up its ID, which is to be a UUID."""

NOTHING: Final[Assignment] = MappingProxyType({})


class ShareMember(NamedTuple):
    """A member: what it wants, and what it has. Others may have the same partitions."""

    id: str
    epoch: int = NEW
    previous_epoch: int = LEAVING
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    assigned: Assignment = NOTHING

    @property
    def instance_id(self) -> None:
        """Nothing: there are no static members of share groups."""
        return None

    def partitions(self) -> Iterator[tuple[bytes, int]]:
        """Give all partitions that it has."""
        for topic, indexes in self.assigned.items():
            for index in indexes:
                yield topic, index
