"""How long members of a classic group are believed to be alive, and IDs that were handed out to be used."""

from collections.abc import Callable
from functools import partial

from felice.broker.clock import BrokerClock, Deadline
from felice.broker.groups.member import Member

__all__ = ["FIRST_JOIN_TIMEOUT", "MemberSessions"]

FIRST_JOIN_TIMEOUT = 300.0
"""Seconds for which a new member, who knows no ID to send heartbeats with, may wait for its first generation."""


class MemberSessions:
    """Tells of members whose sessions are over, and of IDs that nobody came back with in time."""

    __slots__ = ("_clock", "_lost", "_withdrawn")

    def __init__(
        self, clock: BrokerClock, lost: Callable[[Member], object], withdrawn: Callable[[str], object]
    ) -> None:
        self._clock = clock
        self._lost = lost
        self._withdrawn = withdrawn

    def renew(self, member: Member, seconds: float | None = None) -> None:
        """Begin a member's session anew, of its own length unless another one is given."""
        if member.session is None:
            member.session = Deadline(self._clock, partial(self._over, member))
        member.session.put_off(member.session_timeout / 1000 if seconds is None else seconds)

    def invite(self, member_id: str, timeout: int) -> None:
        """Tell when an ID was not used for so many milliseconds."""
        self._clock.call_later(timeout / 1000, self._withdrawn, member_id)

    def _over(self, member: Member) -> None:
        """Give a member up, unless it waits for the broker itself: then it is not expected to be heard of."""
        if not member.is_excused:
            self._lost(member)
