"""How long members of a classic group are believed to be alive, and IDs that were handed out to be used."""

from collections.abc import Callable

from felice.broker.clock import BrokerClock
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
        """Begin a member's session anew, of its own length unless another one is given.

        Most sessions are begun anew before they end. So the timer of the one before is kept where it rings no later,
        and then looks for itself how much time there is by now.
        """
        seconds = member.session_timeout / 1000 if seconds is None else seconds
        member.deadline = self._clock.monotonic() + seconds
        if member.session is not None and member.session.due > member.deadline:
            member.end_session()
        if member.session is None:
            member.session = self._clock.call_later(seconds, self._ring, member)

    def invite(self, member_id: str, timeout: int) -> None:
        """Tell when an ID was not used for so many milliseconds."""
        self._clock.call_later(timeout / 1000, self._withdrawn, member_id)

    def _ring(self, member: Member) -> None:
        """See whether a session is over. Who waits for the broker itself is not expected to be heard of."""
        member.session = None
        left = member.deadline - self._clock.monotonic()
        if left > 0:
            member.session = self._clock.call_later(left, self._ring, member)
        elif not member.is_excused:
            self._lost(member)
