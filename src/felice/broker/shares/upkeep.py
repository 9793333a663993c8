"""What share coordinators do every five minutes, so that `__share_group_state` does not grow for ever (KIP-932).

Records before the oldest snapshot that counts are deleted. So that nothing holds that up for long, what was not written
down whole for five minutes is, once; then there is nothing to do until the next change.
"""

from collections.abc import Callable, Iterable, Mapping

from felice.broker.clock import BrokerClock, Timer
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.shares.progress import Known
from felice.broker.shares.share_partition import SharePartition

__all__ = ["INTERVAL", "Upkeep"]

INTERVAL = 300.0
"""Seconds; Kafka's settings for it are internal."""


class Upkeep:
    """Looks at all states from time to time, as long as there is something to wait for."""

    def __init__(
        self,
        clock: BrokerClock,
        known: Mapping[SharePartition, Known],
        homes: Callable[[], Iterable[Partition]],
        home_of: Callable[[SharePartition], Partition],
        snapshot: Callable[[SharePartition, Known], object],
    ) -> None:
        """Take the states, the partitions that keep them, which of those keeps one, and what writes one down whole."""
        self._clock = clock
        self._known = known
        self._homes = homes
        self._home_of = home_of
        self._snapshot = snapshot
        self._timer: Timer | None = None

    def wait(self) -> None:
        """Look in a while, because something was written."""
        if self._timer is None:
            self._timer = self._clock.call_later(INTERVAL, self._look)

    def _look(self) -> None:
        """Delete what no state needs, and then write down states of which that holds up the deletion."""
        self._timer = None
        kept: dict[Partition, dict[SharePartition, Known]] = {home: {} for home in self._homes()}
        for key, known in self._known.items():
            kept.setdefault(self._home_of(key), {})[key] = known
        for home, states in kept.items():
            if home.leader != NO_LEADER:
                self._prune(home, states.values())
                self._refresh(states)
        if not all(known.is_refreshed for known in self._known.values()):
            self.wait()

    def _prune(self, home: Partition, states: Iterable[Known]) -> None:
        """Delete the records before the oldest snapshot; where no state is left, all before the last tombstone."""
        oldest = min((known.position for known in states), default=home.log.end_offset - 1)
        if home.log.start_offset < oldest <= home.high_watermark:
            home.delete_before(oldest)

    def _refresh(self, states: Mapping[SharePartition, Known]) -> None:
        """Write down whole what was not for a while, unless all that is here was."""
        if all(known.is_refreshed for known in states.values()):
            return
        late = self._clock.time_ms() - INTERVAL * 1000
        for key, known in states.items():
            if known.written_ms <= late:
                self._snapshot(key, known)
