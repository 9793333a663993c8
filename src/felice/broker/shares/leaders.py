"""The leaders' half of share groups: which partitions are handed out, by whom, and to which sessions (KIP-932)."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from felice.broker.node import Node
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.broker.shares.handout import Acknowledged, Handout, Limits
from felice.broker.shares.sessions import ShareSession, ShareSessions
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_batch import StateBatch
from felice.broker.shares.window import Window
from felice.broker.watcher import Watcher
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["ShareLeaders"]

UNCHOSEN: Final = -1
"""The start of a group for which nobody has chosen one yet."""
BY_DURATION: Final = "by_duration:"

CODES: Final = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_NOT_AVAILABLE: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.GROUP_ID_NOT_FOUND: ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ErrorCode.FENCED_LEADER_EPOCH: ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.FENCED_STATE_EPOCH: ErrorCode.NOT_LEADER_OR_FOLLOWER,
}
"""What members are told of what the share coordinator said; all else is UNKNOWN_SERVER_ERROR."""

FENCED: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
)
"""Codes after which the state is read anew."""

Soon = Callable[[Callable[[], object]], object]
"""Has a function called when all is done that is to be done now."""

_duration = re.compile(
    r"(-?)P(?:([-+]?\d+)D)?(?:T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+(?:\.\d*)?)S)?)?\Z", re.IGNORECASE
)


class ShareLeaders:
    """The partitions that are handed out now, each by the node that leads it, and all nodes' sessions."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._led: dict[SharePartition, _Led] = {}
        self._sessions: dict[int, ShareSessions] = {}
        self._opening: deque[SharePartition] = deque()

    # --- partitions ---

    def find(self, node: Node, key: SharePartition) -> Handout:
        """Return what a node hands out, or refuse with UNKNOWN_TOPIC_OR_PARTITION."""
        led = self._led.get(key)
        if led is None or led.node_id != node.id:
            raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "this node does not hand it out", shown=True)
        return led.handout

    def open(self, node: Node, partition: Partition, key: SharePartition, soon: Soon) -> Handout:
        """Return what a node hands out, read anew if nobody does; refuse where it is not the leader.

        What is new is not open yet. Partitions open soon, but one by one, so that a request that waits for several
        gets the records of the first. So it is in Kafka, whose leaders ask share coordinators first.
        """
        partition.check_leader(node.id)
        led = self._led.get(key)
        if led is None:
            led = self._led[key] = self._lead(partition, key)
            self._opening.append(key)
            if len(self._opening) == 1:
                soon(partial(self._open_next, soon))
        return led.handout

    def _open_next(self, soon: Soon) -> None:
        """Open one partition, and soon the next."""
        led = self._led.get(self._opening.popleft())
        if led is not None:
            led.handout.open()
        if self._opening:
            soon(partial(self._open_next, soon))

    def acknowledge(self, node: Node, key: SharePartition, member_id: str, batches: Iterable[Acknowledged]) -> None:
        """Do what a member says to a node; refuse with UNKNOWN_TOPIC_OR_PARTITION where it does not hand that out."""
        handout = self.find(node, key)
        with self._fencing(key):
            handout.acknowledge(member_id, batches)

    @contextmanager
    def _fencing(self, key: SharePartition) -> Iterator[None]:
        """Let go of a partition where it is refused because its state is not what its leader thinks."""
        try:
            yield
        except Refused as refused:
            if refused.code in FENCED:
                self.drop(key)
            raise

    def drop(self, key: SharePartition) -> None:
        """Let go of a partition; the next one who wants records of it has its state read anew."""
        led = self._led.pop(key, None)
        if led is not None:
            led.end()

    def _lead(self, partition: Partition, key: SharePartition) -> "_Led":
        """Begin to hand out a partition."""
        epoch = partition.leader_epoch
        state = self._cluster.share_state
        with _told(wordless=ErrorCode.UNKNOWN_SERVER_ERROR):  # As in Kafka, but not where it writes.
            known = state.read(*key, epoch)
        start = known.start_offset
        if start == UNCHOSEN:
            start = self._chosen_start(partition, key.group_id)

        def keep(start_offset: int, complete: int, batches: list[StateBatch]) -> None:
            with _told():
                state.write(*key, known.state_epoch, epoch, start_offset, complete, batches)

        window = Window(start, known.batches)
        handout = Handout(window, partial(self.limits, key.group_id), self._cluster.clock, keep)
        return _Led(self, key, partition, handout)

    def _chosen_start(self, partition: Partition, group_id: str) -> int:
        """Return where a group begins that was not told where."""
        reset = str(self._settings(group_id)["share.auto.offset.reset"])
        if reset == "earliest":
            return partition.log.start_offset
        if partition.high_watermark < partition.epochs.latest_start:
            raise Refused(ErrorCode.OFFSET_NOT_AVAILABLE)
        if reset == "latest":
            return partition.high_watermark
        since = self._cluster.clock.time_ms() - round(_seconds(reset.removeprefix(BY_DURATION)) * 1000)
        found = partition.log.first_since(since)
        if found is None or found[0] >= partition.high_watermark:
            raise Refused(ErrorCode.OFFSET_NOT_AVAILABLE)
        return found[0]

    # --- settings ---

    def limits(self, group_id: str) -> Limits:
        """Return what a group's settings say now."""
        settings = self._settings(group_id)
        return Limits(
            settings.number("share.delivery.count.limit"),
            settings.number("share.partition.max.record.locks"),
            settings.number("share.record.lock.duration.ms") / 1000,
            settings.flag("share.renew.acknowledge.enable"),
        )

    def reads_committed(self, group_id: str) -> bool:
        """Tell whether a group gets no records of aborted transactions."""
        return self._settings(group_id)["share.isolation.level"] == "read_committed"

    def _settings(self, group_id: str) -> Settings:
        """Return a group's settings."""
        return self._cluster.configs.groups.settings(group_id)

    # --- sessions ---

    def sessions(self, node: Node) -> ShareSessions:
        """Return the sessions of a node."""
        return self._sessions.setdefault(node.id, ShareSessions())

    def release(self, node: Node, session: ShareSession) -> None:
        """Close a session, and take back what its member has."""
        sessions = self.sessions(node)
        sessions.close(session)
        for topic_id, index in session.partitions:
            key = SharePartition(session.group_id, topic_id, index)
            with suppress(Refused):
                handout = self.find(node, key)
                with self._fencing(key):
                    handout.release(session.member_id)

    def connection_closed(self, node: Node, session: ShareSession) -> None:
        """Close a session whose connection has ended, and let go of its group's partitions if it was the last one."""
        sessions = self.sessions(node)
        if sessions.holds(session):
            self.release(node, session)
        if not sessions.has_any_of(session.group_id):
            for key, led in tuple(self._led.items()):
                if key.group_id == session.group_id and led.node_id == node.id:
                    self.drop(key)

    def node_stopped(self, node: Node) -> None:
        """Forget a node's sessions."""
        self._sessions.pop(node.id, None)


class _Led(Watcher):
    """A partition that is handed out; let go of when another node leads it, or nobody does."""

    def __init__(self, leaders: ShareLeaders, key: SharePartition, partition: Partition, handout: Handout) -> None:
        self._leaders = leaders
        self._key = key
        self._partition = partition
        self.handout = handout
        self.node_id = partition.leader
        partition.watchers.add(self)

    def end(self) -> None:
        """Take no part any more."""
        self._partition.watchers.discard(self)
        self.handout.close()

    def changed(self) -> None:
        """See who leads now."""
        if self._partition.leader != self.node_id:
            self._leaders.drop(self._key)


@contextmanager
def _told(wordless: ErrorCode | None = None) -> Iterator[None]:
    """Make of what the share coordinator refuses what members are told; one code may come without words."""
    try:
        yield
    except Refused as refused:
        code = CODES.get(refused.code, ErrorCode.UNKNOWN_SERVER_ERROR)
        raise Refused(code, str(refused), shown=code != wordless) from refused


def _seconds(text: str) -> float:
    """Return the length of a duration as Java writes it (ISO 8601): `P7D`, `PT1H30M`."""
    found = _duration.match(text)
    if found is None:
        raise Refused(ErrorCode.INVALID_CONFIG, f"{text!r} is no duration")
    sign, *parts = found.groups()
    days, hours, minutes, seconds = (float(part or 0) for part in parts)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return -total if sign else total
