"""What the broker does of its own accord with logs: compacts them, and deletes what is too old or too much.

A partition is looked at when something has come to it, and when something of it comes of age; then a round goes over
all such partitions, no sooner after the round before than `log.cleaner.backoff.ms` (with `compact` in their topic's
policy) or `log.retention.check.interval.ms` (without). So where nothing happens there is no round either.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from felice.broker.clock import BrokerClock, Timer
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.retention import expired_before, next_expiry
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster
    from felice.broker.topics import Topic

__all__ = ["Housekeeping"]

SLACK_MS = 2
"""The clock's two times, that of timers and that of records, are rounded differently."""


class Round:
    """Looks at partitions when it is time for them."""

    def __init__(
        self, clock: BrokerClock, interval: Callable[[], float], look: Callable[[Partition], float | None]
    ) -> None:
        """Take the seconds between two rounds, and what looks at a partition.

        It returns in how many seconds the partition should be looked at again, or None.
        """
        self._clock = clock
        self._interval = interval
        self._look = look
        self._due: dict[Partition, float] = {}
        self._last = clock.monotonic()
        self._timer: Timer | None = None

    def add(self, partition: Partition) -> None:
        """Look at a partition in the next round."""
        self._due[partition] = self._last
        self._arm(self._last)

    def drop(self, partition: Partition) -> None:
        """Leave a partition out."""
        self._due.pop(partition, None)

    def clear(self) -> None:
        """Leave all partitions out."""
        self._due.clear()

    def _arm(self, due: float) -> None:
        """Begin a round at this time, unless one begins sooner."""
        due = max(due, self._last + self._interval())
        if self._timer is None or self._timer.due > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._clock.call_later(due - self._clock.monotonic(), self._go)

    def _go(self) -> None:
        """Look at the partitions whose time has come."""
        self._timer = None
        now = self._last = self._clock.monotonic()
        try:
            for partition in [partition for partition, due in self._due.items() if due <= now]:
                del self._due[partition]
                seconds = self._look(partition)
                if seconds is not None:
                    self._due[partition] = now + seconds
        finally:  # Where it fails with one partition, the others have their turn in the next round.
            if self._due:
                self._arm(min(self._due.values()))


class Housekeeping:
    """Watches the partitions of a cluster."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        clock = cluster.clock

        def every(name: str) -> Callable[[], float]:
            return lambda: cluster.settings.number(name) / 1000

        self._compacting = Round(clock, every("log.cleaner.backoff.ms"), self._look)
        self._deleting = Round(clock, every("log.retention.check.interval.ms"), self._look)
        cluster.when_deleted(self._drop_topic)

    def moved(self, partition: Partition) -> None:
        """Hear that the high watermark of a partition moved, or its topic has other settings."""
        assert partition.topic is not None
        self._drop(partition)
        if "compact" not in partition.topic.settings.parts("cleanup.policy"):
            self._deleting.add(partition)
        elif self._cluster.settings.flag("log.cleaner.enable"):
            self._compacting.add(partition)

    def compact(self, topic: "Topic") -> None:
        """Compact a topic now, in segments that end here, whether it is worth it or not."""
        if "compact" not in topic.settings.parts("cleanup.policy"):
            raise Refused(ErrorCode.POLICY_VIOLATION, f"the cleanup.policy of {topic.name} does not compact")
        now = self._cluster.clock.time_ms()
        for partition in topic.partitions:
            log, stable = partition.log, partition.last_stable_offset
            if log.segments and log.segments[-1].size:
                log.roll(now)
            end = max((each.base_offset for each in log.segments if each.base_offset <= stable), default=0)
            if end > max(log.clean_end, log.start_offset):
                self._clean(partition, end, now)

    def forget(self) -> None:
        """Leave all partitions alone."""
        self._compacting.clear()
        self._deleting.clear()

    def _drop_topic(self, topic: "Topic") -> None:
        """Leave a topic alone that was deleted."""
        for partition in topic.partitions:
            self._drop(partition)

    def _drop(self, partition: Partition) -> None:
        """Leave a partition alone."""
        self._compacting.drop(partition)
        self._deleting.drop(partition)

    def _look(self, partition: Partition) -> float | None:
        """Do what can be done with a partition; return in how many seconds there may be more to do."""
        assert partition.topic is not None
        partition.when_moved = self.moved
        settings = partition.topic.settings
        policy = settings.parts("cleanup.policy")
        now = self._cluster.clock.time_ms()
        dues = []
        if "compact" in policy:
            dues.append(self._compact(partition, now))
        if "delete" in policy:
            start = expired_before(partition.log, settings, partition.high_watermark, now)
            if start > partition.log.start_offset:
                partition.delete_before(start)
            dues.append(next_expiry(partition.log, settings))
        waits = [due - now + SLACK_MS for due in dues if due is not None and due > now]
        return min(waits) / 1000 if waits else None

    def _compact(self, partition: Partition, now: int) -> int | None:
        """Compact a partition's log if it is worth it; return when it may be again, in milliseconds since 1970."""
        from felice.broker.cleaning import dirty_part

        assert partition.topic is not None
        settings = partition.topic.settings
        end, due = dirty_part(partition.log, settings, partition.last_stable_offset, now)
        if end is None:
            return due
        self._clean(partition, end, now)
        return dirty_part(partition.log, settings, partition.last_stable_offset, now).due_ms

    def _clean(self, partition: Partition, end: int, now: int) -> None:
        """Compact a partition's log up to `end`, where a segment begins."""
        from felice.broker.cleaning import clean

        assert partition.topic is not None
        since = now - self._cluster.settings.number("producer.id.expiration.ms")
        clean(partition, partition.topic.settings, end, now=now, producers_since=since)
