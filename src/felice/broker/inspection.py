"""What a test may look at in the broker, and wait for; every method may be called from any thread.

What is given are values: they do not change when the broker does.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from felice.broker.access import Access, Named
from felice.broker.happenings import Happenings
from felice.broker.partition import Partition
from felice.wire.records import Record, read_header, read_records

if TYPE_CHECKING:
    from felice.broker.acls import Acl
    from felice.broker.groups.view import GroupView
    from felice.broker.transactions.coordinator import TransactionView

__all__ = ["Inspection"]

T = TypeVar("T")


class Inspection(Access):
    """The part of `Broker` that shows what is in it."""

    _happenings: Happenings

    # --- topics ---

    @property
    def topics(self) -> dict[str, int]:
        """The topics with their numbers of partitions."""
        return self._run(lambda: {name: len(topic.partitions) for name, topic in self._cluster.topics.items()})

    def topic_id(self, name: str) -> bytes:
        """Return a topic's ID, 16 bytes."""
        return self._run(lambda: self._topic(name).id)

    def records(self, topic: str, partition: int) -> list[Record]:
        """Return all records of a partition, control records included, in the order of their offsets."""
        return self._run(lambda: _records(self._partition(topic, partition)))

    def batches(self, topic: str, partition: int) -> list[bytes]:
        """Return the record batches of a partition as they are kept."""
        return self._run(lambda: [bytes(batch) for batch in self._partition(topic, partition).log.batches()])

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """Return the first offset of a partition, and the one behind the last."""

        def read() -> tuple[int, int]:
            log = self._partition(topic, partition).log
            return log.start_offset, log.end_offset

        return self._run(read)

    def topic_configs(self, topic: str) -> dict[str, str]:
        """Return what is set of a topic by Kafka's names; what it takes from the broker's settings is left out."""
        return self._run(lambda: dict(self._topic(topic).settings.texts))

    # --- security ---

    @property
    def acls(self) -> "list[Acl]":
        """The access control entries, in the order in which they came; their numbers are those of Kafka's protocol."""
        return self._run(lambda: list(self._cluster.acls))

    # --- groups and transactions ---

    @property
    def groups(self) -> "dict[str, GroupView]":
        """The groups by ID: their states, members, and committed offsets."""
        return self._run(lambda: Named("group", {group.id: group.view() for group in self._cluster.groups}))

    def lag(self, group: str) -> dict[tuple[str, int], int]:
        """Return how many offsets a group is behind, by topic and partition; raise `KeyError` where there is no group.

        Only partitions of which something is committed are there.
        """

        def measure() -> dict[tuple[str, int], int]:
            known = Named("group", {each.id: each for each in self._cluster.groups})
            return {
                (topic, index): self._partition(topic, index).log.end_offset - committed.offset
                for topic, index, committed in known[group].offsets
            }

        return self._run(measure)

    @property
    def transactions(self) -> "dict[str, TransactionView]":
        """The transactional IDs that are known, with their producers and what is open."""
        return self._run(lambda: Named("transactional ID", self._cluster.transactions.views()))

    # --- waiting ---

    def wait_until(self, ask: Callable[[], T], timeout: float = 10.0) -> T:
        """Wait until `ask` returns something true, and return that: a group's state, an offset, whatever is looked at.

            broker.wait_until(lambda: broker.groups["readers"].state == "Stable")

        It is asked on the broker's loop, at first and whenever something has happened there: so it sees one state, and
        it must not block. What it raises is raised here, but for `KeyError`, which means not yet. Raise `TimeoutError`
        after `timeout` seconds.
        """

        missing: KeyError | None = None

        def asked() -> T | None:
            nonlocal missing
            try:
                return ask()
            except KeyError as error:
                missing = error
                return None

        try:
            return self._happenings.wait(asked, timeout)  # type: ignore[return-value]  # it is true, so not None
        except TimeoutError as error:
            raise error from missing

    async def wait_until_async(self, ask: Callable[[], T], timeout: float = 10.0) -> T:
        """Do as `wait_until`, without blocking the caller's event loop."""
        return await asyncio.to_thread(self.wait_until, ask, timeout)

    def wait_for_records(
        self, topic: str, count: int, partition: int | None = None, timeout: float = 10.0
    ) -> list[Record]:
        """Wait until a partition, or a topic as a whole, has `count` records, and return all that are there.

        They come in the order of partitions and offsets. Control records do not count and are left out; records of
        open and of aborted transactions do count. The topic need not be there yet. Raise `TimeoutError` after
        `timeout` seconds.
        """
        came = 0

        def ask() -> tuple[list[Record]] | None:
            nonlocal came
            known = self._cluster.topics.get(topic)
            if known is None:
                return None
            if partition is None:
                partitions = known.partitions
            else:
                found = known.partition(partition)
                partitions = [] if found is None else [found]
            came = sum(each.log.end_offset - each.log.start_offset for each in partitions)
            if came < count:
                return None
            records = [record for each in partitions for record in _records(each, control=False)]
            came = len(records)
            return (records,) if came >= count else None

        try:
            found = self._happenings.wait(ask, timeout)
        except TimeoutError:
            where = topic if partition is None else f"{topic}-{partition}"
            missing = "" if topic in self.topics else "; there is no such topic"
            raise TimeoutError(f"{came} of {count} records came to {where} within {timeout} s{missing}") from None
        assert found is not None
        return found[0]

    async def wait_for_records_async(
        self, topic: str, count: int, partition: int | None = None, timeout: float = 10.0
    ) -> list[Record]:
        """Do as `wait_for_records`, without blocking the caller's event loop."""
        return await asyncio.to_thread(self.wait_for_records, topic, count, partition, timeout)


def _records(partition: Partition, *, control: bool = True) -> list[Record]:
    """Return a partition's records."""
    log = partition.log
    return [
        record
        for batch in log.batches()
        if control or not read_header(batch).is_control
        for record in read_records(batch)
        if record.offset >= log.start_offset
    ]
