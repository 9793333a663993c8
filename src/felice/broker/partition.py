"""A partition as the cluster sees it: its log, its replicas, who of them leads, and who waits for it to grow.

The replicas that follow the leader share its log: what is appended has reached all of them. Those that do not, as their
node is down or they were told to lag, have a `Copy`, what they had when they stopped. So the high watermark is the
log's end, unless a replica in sync lags, or fewer are in sync than `min.insync.replicas` asks for (KIP-966).

A leader is chosen among the replicas in sync and the eligible ones, the last that were in sync when those became too
few; beyond them only an unclean election goes. A leader that has less than others makes all that follow it cut theirs.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from felice.broker.copies import Copy
from felice.broker.epochs import LeaderEpochs
from felice.broker.log import PartitionLog
from felice.broker.open_transactions import OpenTransactions
from felice.broker.producers import Producers
from felice.broker.refusal import Refused
from felice.broker.watcher import Watcher
from felice.errors import ErrorCode
from felice.wire.schema.message import Buffer

if TYPE_CHECKING:
    from felice.broker.topics import Topic

__all__ = ["NO_LEADER", "Partition"]

NO_LEADER = -1
NO_EPOCH = -1


class Partition:
    """One partition of a topic. Where nodes are `alive`, those are the IDs of all that are up."""

    __slots__ = (
        "adding", "behind", "eligible", "epochs", "high_watermark", "in_sync", "index", "last_known", "leader",
        "leader_epoch", "log", "now_ms", "paused", "producers", "removing", "replicas", "topic", "watchers",
        "when_moved",
    )  # fmt: skip

    def __init__(
        self, index: int, replicas: list[int], topic: "Topic | None" = None, now_ms: Callable[[], int] = lambda: 0
    ) -> None:
        """Take the nodes of its replicas, the preferred leader first, its topic for settings, and the broker's time."""
        self.index = index
        self.topic = topic
        self.now_ms = now_ms
        self.replicas = replicas
        self.in_sync = list(replicas)
        self.eligible: list[int] = []
        """Replicas that are not in sync, but may lead: they have all that readers ever saw (KIP-966)."""
        self.last_known: list[int] = []
        """Who led when nobody was left in sync."""
        self.adding: list[int] = []
        self.removing: list[int] = []
        self.behind: dict[int, Copy] = {}
        """What the replicas have that do not follow the leader."""
        self.paused: set[int] = set()
        """Replicas that were told not to follow."""
        self.leader = NO_LEADER
        self.leader_epoch = NO_EPOCH
        self.high_watermark = 0
        """The offset behind the last record that all replicas in sync have."""
        self.log = PartitionLog()
        self.epochs = LeaderEpochs()
        self.producers = Producers()
        self.watchers: set[Watcher] = set()
        self.when_moved: Callable[[Partition], object] | None = None
        """Called when the high watermark moves, once."""

    @property
    def transactions(self) -> OpenTransactions:
        """The transactions that are open here, and those that were aborted."""
        return self.producers.transactions

    @property
    def last_stable_offset(self) -> int:
        """The offset behind the last record whose transaction, if any, is decided."""
        return self.transactions.stable_offset(self.log.start_offset, self.high_watermark)

    @property
    def least_in_sync(self) -> int:
        """How many replicas must be in sync for acks=all; never more than there are."""
        wanted = 1 if self.topic is None else self.topic.settings.number("min.insync.replicas")
        return min(wanted, len(self.replicas))

    @property
    def is_short(self) -> bool:
        """Whether fewer replicas are in sync than acks=all asks for."""
        return len(self.in_sync) < self.least_in_sync

    @property
    def target(self) -> list[int]:
        """The replicas when all reassignment is done."""
        return [node for node in self.replicas if node not in self.removing]

    def end_of(self, node_id: int) -> int:
        """Return the offset behind the last record that a replica has."""
        copy = self.behind.get(node_id)
        return self.log.end_offset if copy is None else copy.end

    def shared_end(self, node_id: int) -> int:
        """Return the offset up to which a replica has what the leader has.

        It may have others behind that: one that lags keeps what it had from the leader before.
        """
        copy = self.behind.get(node_id)
        if copy is None or copy.log is self.log:
            return self.end_of(node_id)
        return self.epochs.shared_end(self.log.end_offset, copy.epochs, copy.end)

    # --- records ---

    def append(self, batch: Buffer, *, count: int, max_timestamp: int, now: int) -> int:
        """Append a batch of `count` offsets at the time `now`; return the first one's offset.

        It begins another segment where the topic's settings say so. Nobody hears of it before `announce_growth`.
        """
        log, topic = self.log, self.topic
        if (
            topic is not None
            and log.segments
            and log.segments[-1].is_done(len(batch), max_timestamp, now, topic.settings)
        ):
            log.roll(now)
        return log.append(batch, count=count, leader_epoch=self.leader_epoch, max_timestamp=max_timestamp, now=now)

    def delete_before(self, offset: int) -> None:
        """Move the start of the log up to `offset`."""
        self.part_copies()
        self.log.delete_before(offset)
        self.epochs.advance(self.log.start_offset)
        self.transactions.delete_before(self.log.start_offset)

    def part_copies(self) -> None:
        """Let replicas keep what they have that lack something that readers saw: the log is about to lose records."""
        for copy in self.behind.values():
            if copy.end < self.high_watermark:  # Then it may lack the ends of transactions, too.
                copy.part_from(self.log)

    # --- leaders ---

    def found(self, alive: Collection[int]) -> None:
        """Begin: replicas on nodes that are up are in sync, and the first of them leads."""
        self.in_sync = [node for node in self.replicas if node in alive]
        self.behind = {node: Copy.empty() for node in self.replicas if node not in alive}
        if self.in_sync:
            self.lead(self.in_sync[0], alive)
        else:
            self.eligible = list(self.replicas)
            self.lead(NO_LEADER)

    def lead(self, node_id: int, alive: Collection[int] = ()) -> None:
        """Give the partition a leader, or `NO_LEADER`: a new leader epoch begins, and those who are alive follow."""
        if node_id == NO_LEADER:
            if not self.in_sync:
                self.last_known = [self.leader] if self.leader != NO_LEADER else self.last_known
        else:
            self._take_over(node_id)
        self.leader = node_id
        self.leader_epoch += 1
        if node_id != NO_LEADER:
            self.epochs.assign(self.leader_epoch, self.log.end_offset)
            self._follow(alive)
        self._settle()
        self.announce_change()

    def elect(self, alive: Collection[int], *, unclean: bool | None = None) -> bool:
        """Find a leader where there is none that is alive, and tell whether there is one.

        Without `unclean` the topic's `unclean.leader.election.enable` says whether records may get lost for it.
        """
        if self.leader not in alive or self.leader not in self.replicas:
            chosen = self._choice(alive, self._may_be_unclean if unclean is None else unclean)
            if chosen != self.leader:
                self.lead(chosen, alive)
        return self.leader != NO_LEADER

    def may_lead(self, node_id: int) -> bool:
        """Tell whether a replica has all that readers ever saw."""
        return node_id in self.in_sync or node_id in self.eligible

    @property
    def _may_be_unclean(self) -> bool:
        """Whether records may get lost for the sake of having a leader."""
        return self.topic is not None and self.topic.settings.flag("unclean.leader.election.enable")

    def _choice(self, alive: Collection[int], unclean: bool) -> int:
        """Return who is to lead: whoever of the replicas comes first among the best."""
        candidates = [node for node in self.replicas if node in alive]
        safe = [node for node in candidates if self.may_lead(node)]
        if not self.in_sync and not self.eligible:
            safe += [node for node in candidates if node in self.last_known]
        return next(iter(safe or (candidates if unclean else ())), NO_LEADER)

    def _take_over(self, node_id: int) -> None:
        """Go on with what a replica has; where that is less than there was, everything behind its end is gone."""
        self.paused.discard(node_id)
        copy = self.behind.pop(node_id, None)
        if copy is not None and not (copy.log is self.log and copy.end == self.log.end_offset):
            self.log, self.epochs = copy.log.prefix(copy.end), copy.epochs
            self.producers = Producers.read(self.log.batches(), self.now_ms())
            self.high_watermark = min(self.high_watermark, copy.end)
        if node_id not in self.in_sync:
            if node_id not in self.eligible:
                self.eligible.clear()
            self._set_in_sync([node_id])

    # --- replicas ---

    def node_stopped(self, node_id: int, alive: Collection[int]) -> None:
        """Keep what a node's replica has, take it out of those in sync, and find another leader."""
        if node_id not in self.replicas:
            return
        self.paused.discard(node_id)
        if node_id not in self.behind:
            self.behind[node_id] = self._copy()
        self._set_in_sync([node for node in self.in_sync if node != node_id])
        if self.leader == node_id:
            self.elect(alive)
        self._advance()

    def node_started(self, node_id: int, alive: Collection[int], *, killed: bool = False) -> None:
        """Let a node's replica catch up, and lead where nobody does; one that was `killed` may have lost records."""
        if node_id not in self.replicas:
            return
        if killed and node_id in self.eligible:
            self.eligible.remove(node_id)
        if self.leader == NO_LEADER:
            self.elect(alive)
        self.catch_up(alive)

    def pause(self, node_id: int, call_later: Callable[..., object] | None = None) -> None:
        """Let a replica lag from its present end on.

        One that is in sync stays so. When there is something that it does not have, `call_later` is given what takes it
        out of those in sync, with its arguments.
        """
        if node_id == self.leader or node_id not in self.replicas:
            raise Refused(ErrorCode.INVALID_REQUEST, f"node {node_id} does not follow; {self.replicas} have replicas")
        self.paused.add(node_id)
        if node_id not in self.behind:
            copy = self.behind[node_id] = self._copy()
            if call_later is not None:
                copy.when_late = partial(call_later, self._drop_late, node_id, copy)

    def drop(self, node_id: int) -> None:
        """Take a replica that lags out of those in sync."""
        if node_id in self.paused and node_id in self.in_sync:
            self._set_in_sync(sorted(node for node in self.in_sync if node != node_id))
            self._advance()

    def _drop_late(self, node_id: int, copy: Copy) -> None:
        """Take a replica out of those in sync that lags since it had this copy."""
        if self.behind.get(node_id) is copy:
            self.drop(node_id)

    def resume(self, node_id: int, alive: Collection[int]) -> None:
        """Let a replica catch up that was told to lag."""
        self.paused.discard(node_id)
        self.catch_up(alive)

    def catch_up(self, alive: Collection[int]) -> None:
        """Let all replicas have what the leader has that are alive and not told to lag: those are in sync."""
        if self.leader != NO_LEADER:
            was_short = self.is_short
            self._follow(alive)
            self._advance(was_short and not self.is_short)
            self._finish_reassignment(alive)

    def look_again(self) -> None:
        """Go on where too few replicas were in sync, and by other settings they are enough."""
        self._advance(not self.is_short)

    def _follow(self, alive: Collection[int]) -> None:
        """Drop the copies of replicas that follow."""
        following = [node for node in self.replicas if node in alive and node not in self.paused]
        for node in following:
            self.behind.pop(node, None)
        if any(node not in self.in_sync for node in following):
            self._set_in_sync(sorted({*self.in_sync, *following}))

    def _copy(self) -> Copy:
        """Return what a replica has that follows."""
        end, transactions = self.log.end_offset, self.transactions
        return Copy(self.log, self.epochs, end, self.high_watermark, self.last_stable_offset, transactions)

    def _set_in_sync(self, nodes: list[int]) -> None:
        """Note which replicas are in sync; while they are too few, those that were before stay eligible (KIP-966)."""
        if len(nodes) >= self.least_in_sync:
            self.eligible, self.last_known = [], []
        else:
            were = dict.fromkeys((*self.eligible, *self.in_sync))
            self.eligible = sorted(node for node in were if node not in nodes)
        self.in_sync = nodes

    # --- other replicas ---

    def reassign(self, target: Sequence[int], alive: Collection[int]) -> None:
        """Move to these replicas (KIP-455): at once, unless one that is new cannot catch up now."""
        self.adding = [node for node in target if node not in self.replicas]
        self.removing = [node for node in self.replicas if node not in target]
        self._have([*target, *self.removing])
        self.catch_up(alive)

    def cancel_reassignment(self, alive: Collection[int]) -> None:
        """Stay with the replicas there were; refuse with NO_REASSIGNMENT_IN_PROGRESS where they are no others.

        Where none of them is in sync it is refused too, with INVALID_REPLICA_ASSIGNMENT, unless records may get lost.
        """
        if not self.adding and not self.removing:
            raise Refused(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
        before = [node for node in self.replicas if node not in self.adding]
        if not any(node in self.in_sync for node in before) and not self._may_be_unclean:
            raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "none of the replicas there were is in sync")
        self.adding, self.removing = [], []
        self._have(before)
        self.elect(alive)
        self.catch_up(alive)

    def replace(self, node_id: int, heir: int | None, alive: Collection[int]) -> None:
        """Give a node's replica to another node, with all it has, or (None) remove it."""

        def renamed(nodes: Iterable[int]) -> list[int]:
            swapped = (heir if node == node_id else node for node in nodes)
            return [node for node in swapped if node is not None]

        copy = self.behind.pop(node_id, None)
        if heir is not None and (copy is not None or heir not in alive):
            self.behind[heir] = copy or self._copy()
        self.paused.discard(node_id)
        self._set_replicas(renamed(self.replicas))
        self.in_sync = renamed(self.in_sync)
        self.eligible, self.last_known = renamed(self.eligible), renamed(self.last_known)
        self.adding, self.removing = renamed(self.adding), renamed(self.removing)
        if self.leader == node_id and heir is not None:
            self.lead(heir, alive)
        else:
            self.elect(alive)
        self.catch_up(alive)

    def _set_replicas(self, replicas: list[int]) -> None:
        """Note which the replicas are."""
        self.replicas = replicas
        if self.topic is not None:
            self.topic.layout += 1

    def _have(self, replicas: list[int]) -> None:
        """Have these replicas, new ones without records."""
        for node in replicas:
            if node not in self.replicas:
                self.behind[node] = Copy.empty()
        self._set_replicas(replicas)
        for node in [node for node in self.behind if node not in replicas]:
            del self.behind[node]
        self.paused.intersection_update(replicas)
        self._set_in_sync([node for node in self.in_sync if node in replicas])
        self.eligible = [node for node in self.eligible if node in replicas]

    def _finish_reassignment(self, alive: Collection[int]) -> None:
        """Let go of the replicas that are to go, when all that were to come are in sync."""
        removed = self.removing
        if (
            not (self.adding or removed)
            or not set(self.adding) <= set(self.in_sync)
            or not any(node in self.in_sync for node in self.target)
        ):
            return
        target = self.target
        self.adding, self.removing = [], []
        self._have(target)
        if self.leader not in target:
            self.elect(alive)
        elif removed:
            self.lead(self.leader, alive)

    # --- requests ---

    def check_epoch(self, epoch: int) -> None:
        """Refuse a request made for another leader epoch than the present one (KIP-320)."""
        if epoch in (NO_EPOCH, self.leader_epoch):
            return
        raise Refused(
            ErrorCode.FENCED_LEADER_EPOCH if epoch < self.leader_epoch else ErrorCode.UNKNOWN_LEADER_EPOCH,
            f"the request names leader epoch {epoch}; it is {self.leader_epoch}",
        )

    def check_leader(self, node_id: int, epoch: int = NO_EPOCH) -> None:
        """Refuse a request that should have gone to another node, or names another leader epoch."""
        if node_id in self.replicas:
            self.check_epoch(epoch)
        if self.leader != node_id:
            raise Refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"node {self.leader} leads")

    # --- those who wait ---

    def announce_growth(self, size: int) -> None:
        """Note that `size` bytes were appended, and tell those who wait for what can be read."""
        for copy in tuple(self.behind.values()):
            if copy.when_late is not None:
                when_late, copy.when_late = copy.when_late, None
                when_late()
        if self._settle():
            for watcher in tuple(self.watchers):
                watcher.grew(size)

    def announce_change(self) -> None:
        """Tell those who wait that the leader is another one, or the partition is gone."""
        for watcher in tuple(self.watchers):
            watcher.changed()

    def _advance(self, enough: bool = False) -> None:
        """Move the high watermark after a change among the replicas, and tell those who wait for it.

        They are told too where now there are `enough` in sync, that were too few.
        """
        if self._settle() or enough:
            for watcher in tuple(self.watchers):
                watcher.advanced()

    def _settle(self) -> bool:
        """Move the high watermark up to what all replicas in sync have, and tell whether it moved."""
        if self.leader == NO_LEADER or self.is_short:
            return False
        end = self.log.end_offset
        if self.behind:
            end = min((self.shared_end(node) for node in self.in_sync), default=end)
        moved = end > self.high_watermark
        if moved:
            self.high_watermark = end
            if self.when_moved is not None:
                when_moved, self.when_moved = self.when_moved, None
                when_moved(self)
        return moved
