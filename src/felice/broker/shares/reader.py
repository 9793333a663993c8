"""What one request of a share group's member reads: which partitions have something for it, and what (KIP-932)."""

from typing import Final

from felice.broker.call import Call
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.shares.acknowledging import known_partition
from felice.broker.shares.acquisition import Wish
from felice.broker.shares.handout import Handout
from felice.broker.shares.log_reader import Stretch, bytes_from, read_from
from felice.broker.shares.sessions import FIRST_EPOCH, Place, ShareSession
from felice.broker.shares.share_partition import SharePartition
from felice.broker.watcher import Watcher
from felice.wire.messages.share_fetch import ShareFetchRequest, ShareFetchResponse

__all__ = ["ShareReader"]

STRICT: Final = 1
"""The mode in which a member gets as many records as it asks for, and no more (KIP-1206)."""

Answer = ShareFetchResponse.PartitionData


class ShareReader:
    """Reads for one request, once or again and again until there is enough."""

    __slots__ = ("_call", "_committed", "_errors", "_max_bytes", "_min_bytes", "_open", "_wish")

    def __init__(self, call: Call, request: ShareFetchRequest, session: ShareSession) -> None:
        leaders = call.cluster.share_leaders
        self._call = call
        self._committed = leaders.reads_committed(session.group_id)
        self._max_bytes = min(request.max_bytes, call.cluster.settings.number("fetch.max.bytes"))
        self._min_bytes = min(request.min_bytes, self._max_bytes)
        strict = call.version >= 2 and request.share_acquire_mode == STRICT
        self._wish = Wish(session.member_id, request.max_records, request.batch_size, strict)
        self._errors: dict[Place, Answer] = {}
        self._open: dict[Place, tuple[Partition, Handout]] = {}
        for place in _rotated(list(session.partitions), request.share_session_epoch):
            try:
                self._open[place] = self._find(session.group_id, place)
            except Refused as refused:
                self._errors[place] = Answer(
                    partition_index=place[1], error_code=refused.code, error_message=refused.shown
                )

    def _find(self, group_id: str, place: Place) -> tuple[Partition, Handout]:
        """Return a partition and who hands it out, or refuse."""
        call, (topic_id, index) = self._call, place
        topic = call.cluster.topic_by_id(topic_id)
        if call.faults:
            call.check_faults(topic.name, index)
        partition = known_partition(call, topic.name, index)
        key = SharePartition(group_id, *place)
        return partition, call.cluster.share_leaders.open(call.node, partition, key, call.loop.call_soon)

    # --- waiting ---

    @property
    def is_ready(self) -> bool:
        """Whether there is enough to read, or nothing to wait for."""
        if not self._open or not self._wish.max_records or not self._max_bytes:
            return True
        readable = self._readable()
        if not readable:
            return False
        share, size = self._max_bytes // len(readable), 0
        for place in readable:
            partition, handout = self._open[place]
            offset = handout.window.next_offset
            if offset < partition.log.start_offset:
                return True
            size += bytes_from(partition, offset, share, committed=self._committed)
        return size >= self._min_bytes

    def watch(self, waiting: Watcher) -> None:
        """Have somebody told of everything after which there may be more."""
        for partition, handout in self._open.values():
            partition.watchers.add(waiting)
            handout.watchers.add(waiting.changed)

    def unwatch(self, waiting: Watcher) -> None:
        """Tell that one nothing any more."""
        for partition, handout in self._open.values():
            partition.watchers.discard(waiting)
            handout.watchers.discard(waiting.changed)

    def _readable(self) -> list[Place]:
        """Return the partitions of which the member may get something."""
        return [place for place, (_, handout) in self._open.items() if handout.has_room]

    # --- reading ---

    def take(self) -> dict[Place, Answer]:
        """Acquire what there is for the member, and return it with all that is wrong, by partition."""
        answers: dict[Place, Answer] = {}
        room, left = self._max_bytes, self._wish.max_records
        readable = self._readable() if room and left else []
        for place in readable:
            answer = answers[place] = Answer(partition_index=place[1])
            partition, handout = self._open[place]
            offset = handout.window.next_offset
            most = min(self._max_bytes // len(readable), room)
            if offset < partition.log.start_offset:
                # Records were deleted before they were delivered; the next request reads behind them.
                handout.window.log_starts_at(partition.log.start_offset)
                continue
            stretch = read_from(
                partition,
                offset,
                handout.window.reach(left),
                most,
                at_least_one=room == self._max_bytes,
                committed=self._committed,
            )
            room -= stretch.size
            left -= self._acquire(handout, offset, stretch, answer, left)
        return answers | self._errors

    def _acquire(self, handout: Handout, offset: int, stretch: Stretch, answer: Answer, most: int) -> int:
        """Acquire what was read of one partition, and return how many records."""
        acquired = handout.acquire(self._wish._replace(max_records=most), offset, stretch.spans)
        if stretch.unwanted:
            acquired = handout.window.archive_acquired(acquired, stretch.unwanted)
        if acquired:
            answer.records = stretch.around(acquired)
            answer.acquired_records = [
                ShareFetchResponse.AcquiredRecords(first_offset=first, last_offset=last, delivery_count=deliveries)
                for first, last, deliveries in acquired
            ]
        return sum(each.last - each.first + 1 for each in acquired)


def _rotated(places: list[Place], epoch: int) -> list[Place]:
    """Begin with another partition each time, so that none is always the last one."""
    turn = epoch % len(places) if places and epoch > FIRST_EPOCH else 0
    return places[turn:] + places[:turn]
