"""All transactional IDs of the cluster, whichever node coordinates them; and what happens to them by itself.

A transaction is changed as a copy, which takes its place when it is written down: where that is refused, nothing was.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from felice.broker import journal
from felice.broker.clock import Timer
from felice.broker.coordination import TRANSACTIONS_TOPIC, Kind, KnownLogs
from felice.broker.log import PartitionLog
from felice.broker.partition import NO_LEADER
from felice.broker.refusal import Refused
from felice.broker.topics import Topic
from felice.broker.transactions import state_log
from felice.broker.transactions.markers import Ending
from felice.broker.transactions.transaction import Identity, Partitions, State, Transaction
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["TransactionView", "Transactions"]

LATE_INTERVAL = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
EXPIRED_INTERVAL = "transaction.remove.expired.transaction.cleanup.interval.ms"


class TransactionView(NamedTuple):
    """A transactional ID as it was when it was looked at."""

    transactional_id: str
    state: str
    """By Kafka's name: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit or CompleteAbort."""
    producer_id: int
    producer_epoch: int
    timeout: float
    """How long a transaction may stay open, in seconds."""
    started_ms: int
    """When the latest transaction began, in milliseconds since 1970; -1 where there is none yet."""
    partitions: frozenset[tuple[str, int]]
    """What takes part in the open transaction: topics and partitions."""


class Transactions:
    """The registry: finds transactions, moves them on, and writes down what changed."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self._known: dict[str, Transaction] = {}
        self._logs = KnownLogs()
        """The logs of which this is known, by their partitions."""
        self._timeouts: dict[str, Timer] = {}
        self._endings: dict[str, Ending] = {}
        self._expiry: Timer | None = None
        cluster.coordination.when_moved(Kind.TRANSACTION, self._moved)
        cluster.when_deleted(self._topic_deleted)

    def __iter__(self) -> Iterator[Transaction]:
        """Give all of them, in the order in which they came."""
        return iter(tuple(self._known.values()))

    def find(self, transactional_id: str) -> Transaction | None:
        """Return a transactional ID's transaction, or None."""
        return self._known.get(transactional_id)

    def views(self) -> dict[str, TransactionView]:
        """Return what is known now, by transactional ID."""
        return {
            known.id: TransactionView(
                known.id,
                known.state.shown,
                known.producer_id,
                known.epoch,
                known.timeout_ms / 1000,
                known.started_ms,
                frozenset(known.partitions),
            )
            for known in self
        }

    # --- what producers ask ---

    def initialise(self, transactional_id: str, timeout_ms: int, expected: Identity | None) -> Identity:
        """Return the producer ID and the epoch for who takes this transactional ID.

        `expected` is what the producer had, if it says so (KIP-360). Where a transaction is open it is aborted, and the
        producer told to ask again.
        """
        transaction = copy.copy(self._known.get(transactional_id))
        if transaction is None:
            transaction = Transaction(transactional_id, self._cluster.new_producer_id())
        transaction.claim(timeout_ms, expected, self._now(), self._cluster.new_producer_id)
        if transaction.is_prepared:
            self._finish(transaction)
            raise Refused(ErrorCode.CONCURRENT_TRANSACTIONS, "its transaction is aborted first")
        self._save(transaction)
        return transaction.identity

    def add(self, transactional_id: str, identity: Identity, partitions: Partitions, version: int) -> None:
        """Let partitions join a producer's transaction, of that version of the protocol, and begin one if need be."""
        transaction = copy.copy(self._get(transactional_id))
        begins = transaction.state is not State.ONGOING
        if transaction.add(partitions, identity, version, self._now()):
            self._save(transaction)
            if begins:
                self._wait_for_timeout(transaction)

    def verified(self, transactional_id: str, identity: Identity) -> Transaction:
        """Return the transaction that a producer writes in, so that its partitions can be looked at (KIP-890)."""
        transaction = self._get(transactional_id)
        transaction.check(identity)
        return transaction

    def end(self, transactional_id: str, identity: Identity, commit: bool, version: int) -> Identity:
        """Commit or abort; return what the producer is to use from now on."""
        transaction = copy.copy(self._get(transactional_id))
        if transaction.end(
            identity, commit, version=version, now=self._now(), new_producer_id=self._cluster.new_producer_id
        ):
            told = transaction.identity
            self._finish(transaction)
            return told
        return transaction.identity

    def _get(self, transactional_id: str) -> Transaction:
        """Return a transactional ID's transaction, or refuse."""
        if not transactional_id:
            raise Refused(ErrorCode.INVALID_REQUEST, "the transactional ID is empty")
        found = self._known.get(transactional_id)
        if found is None:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING, f"{transactional_id!r} has no producer ID")
        return found

    # --- what happens then ---

    def _finish(self, transaction: Transaction) -> None:
        """Write a decision down, and then the markers."""
        self._save(transaction)
        timer = self._timeouts.pop(transaction.id, None)
        if timer is not None:
            timer.cancel()
        self._mark(transaction)

    def _mark(self, transaction: Transaction) -> None:
        """Write the markers."""
        ending = self._endings[transaction.id] = Ending(
            self._cluster, transaction, lambda: self._completed(transaction)
        )
        ending.changed()

    def _completed(self, transaction: Transaction) -> None:
        """Note that all markers are written."""
        del self._endings[transaction.id]
        complete = copy.copy(transaction)
        complete.complete(self._now())
        self._save(complete)

    def _wait_for_timeout(self, transaction: Transaction) -> None:
        """Look after an open transaction when its time is over."""
        left = transaction.started_ms + transaction.timeout_ms - self._now()
        self._wait_for(transaction.id, max(left, 0) / 1000)

    def _wait_for(self, transactional_id: str, seconds: float) -> None:
        """Look after an open transaction in so many seconds."""
        self._timeouts[transactional_id] = self._cluster.clock.call_later(seconds, self._timed_out, transactional_id)

    def _timed_out(self, transactional_id: str) -> None:
        """Abort a transaction that is open for too long, unless nobody coordinates it now."""
        transaction = copy.copy(self._known[transactional_id])
        if not self._led(transaction):
            return
        transaction.fence(self._now(), self._cluster.new_producer_id)
        try:
            self._finish(transaction)
        except Refused:  # It cannot be written down now.
            self._wait_for(transactional_id, self._cluster.settings.number(LATE_INTERVAL) / 1000)

    def _moved(self, index: int) -> None:
        """Go on with what waited for a coordinator; where the log was cut, with what it says now."""
        home = self._cluster.coordination.partitions(Kind.TRANSACTION)[index]
        if home.leader == NO_LEADER:
            return
        if self._logs.replaced(home):
            self._read(index, home.log)
            return
        for transactional_id in (*self._endings, *self._timeouts):
            if self._index(transactional_id) != index:
                continue
            ending = self._endings.get(transactional_id)
            timeout = self._timeouts.get(transactional_id)
            if ending is not None:
                ending.changed()
            elif timeout is not None and timeout.due <= self._cluster.clock.monotonic():
                self._timed_out(transactional_id)

    def _read(self, index: int, log: PartitionLog) -> None:
        """Know of a partition's transactions what its log says, and nothing else; markers may be written again."""
        for transaction in self:
            if self._index(transaction.id) == index:
                self._forget(transaction.id)
        for transaction in state_log.read(log):
            self._known[transaction.id] = transaction
            if transaction.state is State.ONGOING:
                self._wait_for_timeout(transaction)
            elif transaction.is_prepared:
                self._mark(transaction)
        if self._expiry is None:
            self._wait_for_expiry()

    def _index(self, transactional_id: str) -> int:
        """Return which partition of `__transaction_state` keeps a transaction."""
        return self._cluster.coordination.partition(Kind.TRANSACTION, transactional_id).index

    # --- what is forgotten ---

    def _forget(self, transactional_id: str) -> None:
        """Know nothing of a transactional ID any more."""
        del self._known[transactional_id]
        timer = self._timeouts.pop(transactional_id, None)
        if timer is not None:
            timer.cancel()
        ending = self._endings.pop(transactional_id, None)
        if ending is not None:
            ending.stop()

    def _topic_deleted(self, topic: Topic) -> None:
        """Forget all transactions with the topic in which they are kept; wait for no markers in one that is gone."""
        if topic.name == TRANSACTIONS_TOPIC:
            for transaction in self:
                self._forget(transaction.id)
            self._logs.clear()
        for ending in tuple(self._endings.values()):
            ending.changed()

    def _wait_for_expiry(self, at_least_ms: int = 1) -> None:
        """Look when the first of those that nobody uses is due to be forgotten."""
        unused = [known.updated_ms for known in self._known.values() if known.is_over]
        if unused:
            left = min(unused) + self._expires_ms - self._now()
            self._expiry = self._cluster.clock.call_later(max(left, at_least_ms) / 1000, self._expire)

    def _expire(self) -> None:
        """Forget transactional IDs that nobody has used for long, in the log too."""
        self._expiry, at_least_ms = None, 1
        since = self._now() - self._expires_ms
        for transaction in self:
            if transaction.is_over and transaction.updated_ms <= since:
                try:
                    self._write(transaction.id, state_log.tombstone(transaction.id))
                except Refused:  # It cannot be written down now.
                    at_least_ms = self._cluster.settings.number(EXPIRED_INTERVAL)
                else:
                    del self._known[transaction.id]
        self._wait_for_expiry(at_least_ms)

    @property
    def _expires_ms(self) -> int:
        """How long an unused transactional ID is kept, in milliseconds."""
        return self._cluster.settings.number("transactional.id.expiration.ms")

    # --- the log ---

    def _save(self, transaction: Transaction) -> None:
        """Write down how a transaction is now, and know it so."""
        self._write(transaction.id, state_log.record(transaction))
        self._known[transaction.id] = transaction
        if self._expiry is None and transaction.is_over:
            self._wait_for_expiry()

    def _write(self, transactional_id: str, record: state_log.Record) -> None:
        """Append a record to `__transaction_state`, with acks=all: not while too few replicas are in sync."""
        home = self._cluster.coordination.partition(Kind.TRANSACTION, transactional_id)
        if home.is_short:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE, "too few replicas of the coordinator's log are in sync")
        self._logs.note(home)
        journal.write(home, [record], self._now())

    def _led(self, transaction: Transaction) -> bool:
        """Tell whether a node coordinates it."""
        return self._cluster.coordination.node_id(Kind.TRANSACTION, transaction.id) != NO_LEADER

    def _now(self) -> int:
        """Return the time in milliseconds since 1970."""
        return self._cluster.clock.time_ms()
