"""What an answer means for one partition: records for its shelf, or another place to fetch from. Runs on the engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from felice import native
from felice.clock import Clock
from felice.cluster.router import Cluster
from felice.config import ConsumerConfig
from felice.consumer.budget import Frame
from felice.consumer.outbox import Outbox
from felice.consumer.placement import Placement
from felice.consumer.room import Room
from felice.consumer.session import Want
from felice.consumer.shelf import Chunk, Partition, Shelf
from felice.consumer.verdicts import Verdict, judge
from felice.errors import BrokerError, FeliceError
from felice.wire.messages.fetch import FetchResponse

if TYPE_CHECKING:
    from felice.consumer._batch import scan
else:
    scan = native.pick("felice.consumer._batch").scan

__all__ = ["Arrivals"]


class Arrivals:
    """Takes the answers to Fetch."""

    def __init__(
        self,
        cluster: Cluster,
        config: ConsumerConfig,
        clock: Clock,
        outbox: Outbox,
        room: Room,
        placement: Placement,
        *,
        find_reset: Callable[[Partition], object],
        fail: Callable[[Partition, Shelf, FeliceError], object],
    ) -> None:
        """Take what it works with.

        `find_reset(partition)` finds where to go on when the position is not in the log, and
        `fail(partition, shelf, error)` stops reading.
        """
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self._outbox = outbox
        self._room = room
        self._placement = placement
        self._find_reset = find_reset
        self._fail = fail
        self._committed = config.isolation == "read_committed"

    def take(
        self,
        partition: Partition,
        shelf: Shelf,
        want: Want,
        data: FetchResponse.PartitionData,
        answer: FetchResponse,
        node_id: int,
        frame: Frame,
    ) -> None:
        """Take one partition's part of an answer."""
        match judge(data.error_code):
            case Verdict.TAKE if data.diverging_epoch.epoch >= 0 and partition.replica != node_id:
                self._placement.doubt(partition)
            case Verdict.TAKE if data.diverging_epoch.epoch >= 0:
                self._placement.leave_replica(partition)
            case Verdict.TAKE:
                self._take_records(partition, shelf, want, data, frame)
                return
            case Verdict.RESET if partition.replica == node_id:
                # A follower may lag behind; only the leader knows what is in the log (KIP-392).
                self._placement.leave_replica(partition)
            case Verdict.RESET:
                partition.looking = True
                self._find_reset(partition)
                return
            case Verdict.FAIL:
                error = BrokerError(data.error_code, f"fetching {partition.tp} from offset {want.offset}")
                self._fail(partition, shelf, error)
                return
            case Verdict.DAMAGED if partition.tries >= 2:
                error = BrokerError(data.error_code, f"fetching {partition.tp} from offset {want.offset}")
                self._fail(partition, shelf, error)
                return
            case Verdict.MOVED:
                if partition.replica == node_id:
                    self._placement.leave_replica(partition)
                elif self._follow_hint(partition, data, answer):
                    return  # There is nothing to wait for: each hint that is news tells of a higher epoch.
                else:
                    said = BrokerError(data.error_code, f"fetching {partition.tp}")
                    self._cluster.request_refresh(str(said))
        self._placement.poke_later(partition)

    def _follow_hint(self, partition: Partition, data: FetchResponse.PartitionData, answer: FetchResponse) -> bool:
        """Go to the leader that the answer names (KIP-951), if it names one that is new to us."""
        leader = data.current_leader
        topic, index = partition.tp
        return leader.leader_id >= 0 and self._cluster.update_leader(
            topic, index, leader.leader_id, leader.leader_epoch, answer.node_endpoints
        )

    def _take_records(
        self, partition: Partition, shelf: Shelf, want: Want, data: FetchResponse.PartitionData, frame: Frame
    ) -> None:
        partition.tries = 0
        partition.high_watermark = data.high_watermark
        partition.last_stable = data.last_stable_offset
        partition.log_start = data.log_start_offset
        if data.preferred_read_replica >= 0 and data.preferred_read_replica != partition.node:
            partition.replica = data.preferred_read_replica
            partition.replica_until = self._clock.monotonic() + self._config.metadata_max_age
            self._placement.place(partition)
            if partition.replica < 0:
                # It names one that we do not know: only metadata tells where it is, and it would be named again.
                self._cluster.request_refresh(f"nothing is known of replica {data.preferred_read_replica}")
                self._placement.poke_later(partition)
        records: Any = data.records
        if records is None or not len(records):
            return
        whole, following, need, epoch = scan(records, want.offset)
        if whole == 0 or (following == want.offset and need >= 0):
            self._nothing_whole(partition, shelf, want, whole, need)
            return
        aborted = None
        if self._committed and data.aborted_transactions:
            aborted = [(each.producer_id, each.first_offset) for each in data.aborted_transactions]
        self._room.budget.hold(frame)
        batches = records[:whole]
        partition.trail.read(batches, want.offset, epoch)
        partition.fetch_offset = following
        partition.max_bytes = 0
        # What makes no sense is for the reader to find, in its turn; nothing behind it can be fetched.
        partition.halted = need < 0
        self._outbox.put(
            partition, Chunk(shelf, want.offset, following=following, data=batches, aborted=aborted, frame=frame)
        )

    def _nothing_whole(self, partition: Partition, shelf: Shelf, want: Want, whole: int, need: int) -> None:
        """Deal with records that do not bring us on."""
        if whole:
            # Whole batches, all below the offset: asking again at once would bring the same.
            self._placement.poke_later(partition)
        elif need + len(partition.tp.topic) + 1024 > self._config.max_frame_bytes:
            self._fail(
                partition,
                shelf,
                FeliceError(
                    f"the next batch of {partition.tp}, at offset {want.offset}, has {need:,} bytes",
                    hint=f"max_frame_bytes is {self._config.max_frame_bytes:,}: raise it, or seek past the batch",
                ),
            )
        else:
            partition.max_bytes = max(need, 2 * want.max_bytes if not need else 0)
