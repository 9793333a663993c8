"""A member of a group of the classic protocol."""

from collections.abc import Iterable, Mapping

from felice.broker.clock import Deadline
from felice.broker.groups.waiting import WaitingJoin, WaitingSync

__all__ = ["Member"]


class Member:
    """A member: who it is, what it can do, what it was assigned, and whether it waits for an answer.

    `protocols` has the metadata for each, the one that the member likes best first. Times are in milliseconds.
    """

    __slots__ = (
        "assignment", "client_host", "client_id", "id", "instance_id", "is_new", "joining", "protocols",
        "rebalance_timeout", "session", "session_timeout", "syncing",
    )  # fmt: skip

    def __init__(
        self,
        member_id: str,
        instance_id: str | None,
        *,
        client_id: str,
        client_host: str,
        rebalance_timeout: int,
        session_timeout: int,
        protocols: Mapping[str, bytes],
        assignment: bytes = b"",
    ) -> None:
        self.id = member_id
        self.instance_id = instance_id
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout = rebalance_timeout
        self.session_timeout = session_timeout
        self.protocols = dict(protocols)
        self.assignment = assignment
        self.is_new = False
        """Whether it joined for the first time and was not answered yet."""
        self.joining: WaitingJoin | None = None
        self.syncing: WaitingSync | None = None
        self.session: Deadline | None = None

    @property
    def is_excused(self) -> bool:
        """Whether its session goes on without heartbeats, as it waits for the broker itself.

        A new member is not: it does not know its ID, and if its connection breaks it will come back with another one.
        """
        return not self.is_new and (self.joining is not None or self.syncing is not None)

    def offers(self, protocols: Mapping[str, bytes]) -> bool:
        """Tell whether these are its protocols, in the same order and with the same metadata."""
        return list(self.protocols.items()) == list(protocols.items())

    def vote(self, candidates: Iterable[str]) -> str:
        """Return which of the candidates, all of which it knows, it likes best."""
        return next(name for name in self.protocols if name in candidates)

    def end_session(self) -> None:
        """Let nothing happen any more when its time is over."""
        if self.session is not None:
            self.session.cancel()
            self.session = None
