"""A partition of a virtual cluster that a share group reads, without requests: what its tests read and say."""

from collections.abc import Sequence

from felice.broker.coordination import Kind
from felice.broker.shares.acquisition import Span, Wish
from felice.broker.shares.deliveries import Acquired
from felice.broker.shares.handout import Acknowledged, Handout
from felice.broker.shares.log_reader import read_from
from felice.broker.shares.share_partition import SharePartition
from felice.wire.records import BatchBuilder
from virtual_cluster import virtual_cluster

__all__ = ["SharedPartition"]

GROUP = "group"


class SharedPartition:
    """One partition, one group, one node; the broker's time is its test's."""

    def __init__(self, start: int = 0, **settings: object) -> None:
        self.cluster = virtual_cluster(share_coordinator_state_topic_num_partitions=1)
        self.cluster.create_topic(self.cluster.plan_topic("t", 1, 1))
        self.cluster.coordination.partitions(Kind.SHARE)
        self.partition = self.cluster.partition("t", 0)
        self.key = SharePartition(GROUP, self.cluster.topic("t").id, 0)
        self.node = self.cluster.nodes[1]
        self.configure(**settings)
        self.cluster.share_state.initialize(*self.key, 1, start)
        self.compacted: set[Span] = set()
        """Batches that are not in the log any more."""
        self.aborted: set[Span] = set()
        """Batches that members do not get."""

    def configure(self, **settings: object) -> None:
        """Set configurations of the group; they have underscores for dots, and no `share.` in front."""
        texts = {f"share.{name.replace('_', '.')}": str(value) for name, value in settings.items()}
        self.cluster.configs.groups.keep(GROUP, texts)

    def append(self, count: int) -> None:
        """Append one batch of records."""
        builder = BatchBuilder()
        for _ in range(count):
            builder.append(b"value" * 10, None, None, 0)
        batch = builder.seal()
        self.partition.log.append(batch, count=count, leader_epoch=self.partition.leader_epoch, max_timestamp=0)
        self.partition.announce_growth(len(batch))

    @property
    def handout(self) -> Handout:
        """What the leader hands out."""
        return self.cluster.share_leaders.open(self.node, self.partition, self.key, lambda do: do())

    def acquire(self, member: str = "one", most: int = 500, size: int = 500, *, strict: bool = False) -> list[Acquired]:
        """Acquire records for a member."""
        if not self.handout.has_room:
            return []
        offset, log_start = self.handout.window.next_offset, self.partition.log.start_offset
        if offset < log_start:
            self.handout.window.log_starts_at(log_start)
            return []
        stretch = read_from(
            self.partition, offset, self.handout.window.reach(most), 1 << 20, at_least_one=True, committed=False
        )
        spans = [span for span in stretch.spans if span not in self.compacted]
        acquired = self.handout.acquire(Wish(member, most, size, strict), offset, spans)
        unwanted = [span for span in spans if span in self.aborted]
        return self.handout.window.archive_acquired(acquired, unwanted)

    def say(self, first: int, last: int, types: Sequence[int] | int, member: str = "one") -> None:
        """Acknowledge."""
        types = [types] if isinstance(types, int) else types
        self.handout.acknowledge(member, [Acknowledged(first, last, types)])

    def pass_time(self, seconds: float) -> None:
        """Let the broker's time pass."""
        self.cluster.clock.advance(seconds)

    def read_anew(self) -> None:
        """Forget what the leader knows, so that it reads again what is written."""
        self.cluster.share_leaders.drop(self.key)

    @property
    def written(self) -> list[tuple[int, ...]]:
        """What is written: first and last offset, deliveries and state of each batch."""
        return [tuple(batch) for batch in self.cluster.share_state.summary(*self.key, -1).batches]
