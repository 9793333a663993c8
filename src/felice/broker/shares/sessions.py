"""Share sessions: a node remembers which partitions each member reads (KIP-932).

A session is found by group and member, and belongs to the connection that opened it: where that ends, so does the
session, and what its member has is free for others. A request of epoch 0 opens it, and -1 closes it.
"""

from collections.abc import Iterable
from typing import Final

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["FINAL_EPOCH", "FIRST_EPOCH", "Place", "ShareSession", "ShareSessions", "next_epoch"]

FIRST_EPOCH: Final = 0
FINAL_EPOCH: Final = -1
LAST_EPOCH: Final = 0x7FFFFFFF

Place = tuple[bytes, int]
"""A topic's ID and the index of a partition."""


def next_epoch(epoch: int) -> int:
    """Return the epoch of the request after one."""
    return 1 if epoch == LAST_EPOCH else epoch + 1


class ShareSession:
    """What one member reads, in order. A partition's value says whether its next answer is news in any case."""

    __slots__ = ("epoch", "group_id", "member_id", "partitions")

    def __init__(self, group_id: str, member_id: str) -> None:
        self.group_id = group_id
        self.member_id = member_id
        self.epoch = 1
        self.partitions: dict[Place, bool] = {}

    def update(self, added: Iterable[Place], forgotten: Iterable[Place]) -> None:
        """Take in what a request names."""
        for place in added:
            self.partitions.setdefault(place, True)
        for place in forgotten:
            self.partitions.pop(place, None)

    def is_news(self, place: Place, *, failed: bool, filled: bool) -> bool:
        """Tell whether an answer is to be given, and note that it is.

        Whoever got records stands last next time; and behind an error the next answer is news.
        """
        if place not in self.partitions:
            return failed or filled
        first = self.partitions[place]
        self.partitions[place] = failed
        if filled:
            self.partitions[place] = self.partitions.pop(place)
        return first or failed or filled


class ShareSessions:
    """The sessions of one node."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], ShareSession] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sessions)

    def holds(self, session: ShareSession) -> bool:
        """Tell whether a session is still one."""
        return self._sessions.get((session.group_id, session.member_id)) is session

    def has_any_of(self, group_id: str) -> bool:
        """Tell whether a member of a group has one."""
        return any(session.group_id == group_id for session in self._sessions.values())

    def get(self, group_id: str, member_id: str) -> ShareSession:
        """Return a session, or refuse with SHARE_SESSION_NOT_FOUND."""
        found = self._sessions.get((group_id, member_id))
        if found is None:
            raise Refused(ErrorCode.SHARE_SESSION_NOT_FOUND)
        return found

    def open(self, group_id: str, member_id: str, places: Iterable[Place], most: int) -> ShareSession:
        """Open a session in place of the one before; refuse with SHARE_SESSION_LIMIT_REACHED."""
        self._sessions.pop((group_id, member_id), None)
        if len(self._sessions) >= most:
            raise Refused(ErrorCode.SHARE_SESSION_LIMIT_REACHED)
        session = self._sessions[group_id, member_id] = ShareSession(group_id, member_id)
        session.partitions = dict.fromkeys(places, False)
        return session

    def resume(self, group_id: str, member_id: str, epoch: int) -> ShareSession:
        """Return a session whose turn it is, which then expects the next epoch; or refuse."""
        session = self.get(group_id, member_id)
        if session.epoch != epoch:
            raise Refused(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
        session.epoch = next_epoch(epoch)
        return session

    def close(self, session: ShareSession) -> None:
        """Forget a session."""
        if self.holds(session):
            del self._sessions[session.group_id, session.member_id]
