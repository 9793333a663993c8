"""A partition against a model in which every replica has a log of its own, whatever happens to nodes and leaders."""

import contextlib
from itertools import takewhile
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from asking import batch
from felice.broker.admission import admit
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.setting import Settings
from felice.broker.setting_tables import TOPIC_SETTINGS
from felice.broker.topics import Topic
from felice.broker.watcher import Watcher
from felice.wire.records import read_header, read_records

NODES = [1, 2, 3, 4]
PRODUCERS = [7, 8]
NOW = 1_700_000_000_000
some_node = st.sampled_from(NODES)


class Entry(NamedTuple):
    """One record: the leader epoch it was written in, who wrote it with which sequence, and what."""

    epoch: int
    producer: int
    sequence: int
    value: bytes


def records(log_batches, start, end):
    """Return a log's records as entries."""
    found = []
    for piece in log_batches:
        header = read_header(piece)
        for number, record in enumerate(read_records(piece)):
            if start <= record.offset < end:
                entry = Entry(header.leader_epoch, header.producer_id, header.base_sequence + number, record.value)
                found.append(entry)
    return found


def shared(one, other):
    """Return how many records two logs have the same, from the first on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


class Leaders(Watcher):
    """Tells of each leader, and of whatever else happens."""

    def __init__(self, tell):
        self.tell = tell

    def changed(self):
        self.tell()


class Replicas(RuleBasedStateMachine):
    """Each replica's log is a list; whoever follows has the leader's."""

    @initialize(least=st.integers(1, 3), replicas=st.permutations(NODES).map(lambda nodes: nodes[:3]))
    def begin(self, least, replicas):
        made = Settings(TOPIC_SETTINGS, {"min.insync.replicas": str(least)})
        self.topic = Topic("letters", bytes(16), [], made)
        self.partition = Partition(0, list(replicas), self.topic, lambda: NOW)
        self.alive = set(NODES)
        self.paused = set()
        self.logs = {node: [] for node in replicas}
        self.seen = []
        """What consumers may have read."""
        self.written = 0
        self.partition.watchers.add(Leaders(self.led))
        self.partition.found(self.alive)
        self.sync()

    def led(self):
        """Somebody leads, if only for a moment: those who follow have what it has, and may lead next."""
        self.paused.discard(self.partition.leader)
        for node in self.partition.replicas:
            self.logs.setdefault(node, [])
        self.follow(self.partition.replicas)

    def follow(self, nodes):
        """Let nodes have what the present leader has, if there is one, before another may lead."""
        leader = self.partition.leader
        if leader != NO_LEADER:
            for node in nodes:
                if node in self.alive and node not in self.paused and node != leader:
                    self.logs[node] = list(self.logs[leader])

    def sync(self, *, may_lose=False):
        """Let the model's replicas follow whoever leads, and check that no record was lost that must not be."""
        leader = self.partition.leader
        self.paused &= self.alive
        self.paused.discard(leader)
        self.logs = {node: self.logs.get(node, []) for node in self.partition.replicas}
        self.paused &= set(self.logs)
        self.follow(self.logs)
        if leader != NO_LEADER:
            mark = self.partition.high_watermark
            if not may_lose:
                assert self.logs[leader][: len(self.seen)] == self.seen
            self.seen = self.logs[leader][:mark]

    # --- what happens ---

    @precondition(lambda self: self.partition.leader != NO_LEADER)
    @rule(count=st.integers(1, 3), producer=st.sampled_from(PRODUCERS), again=st.booleans())
    def append(self, count, producer, again):
        """A producer that knows what the leader has of it goes on, and may send its batch twice."""
        log = self.logs[self.partition.leader]
        last = max((entry.sequence for entry in log if entry.producer == producer), default=-1)
        values = [b"%d" % (self.written + number) for number in range(count)]
        self.written += count
        made = batch(*values, producer=(producer, 0, last + 1), time=NOW)
        for _ in range(1 + again):
            offset, _ = admit(
                made, self.partition, self.topic.settings, version=12, now=NOW, producers_since=0, enlist=None
            )
            assert offset == len(log)
        epoch = self.partition.leader_epoch
        log += [Entry(epoch, producer, last + 1 + number, value) for number, value in enumerate(values)]
        self.sync()

    @rule(node=some_node, killed=st.booleans())
    def stop(self, node, killed):
        if node in self.alive:
            self.alive.discard(node)
            self.partition.node_stopped(node, self.alive)
            self.sync()

    @rule(node=some_node, killed=st.booleans())
    def start(self, node, killed):
        if node not in self.alive:
            self.alive.add(node)
            self.follow({node} & set(self.logs))
            # Who was killed is not trusted, but the last leader is taken all the same: it has its records here.
            self.partition.node_started(node, self.alive, killed=killed)
            self.sync()

    @rule(node=some_node, at_once=st.booleans())
    def lag(self, node, at_once):
        if node in self.alive and node in self.partition.replicas and node != self.partition.leader:
            self.partition.pause(node)
            self.paused.add(node)
            if at_once:
                self.partition.drop(node)
            self.sync()

    @rule(node=some_node)
    def catch_up(self, node):
        if node in self.alive:
            self.paused.discard(node)
            self.follow({node} & set(self.logs))
            self.partition.resume(node, self.alive)
            self.sync()

    @precondition(lambda self: self.partition.leader == NO_LEADER)
    @rule()
    def elect_unclean(self):
        self.partition.elect(self.alive, unclean=True)
        self.sync(may_lose=True)

    @rule(place=st.integers(0, 2))
    def elect(self, place):
        node = self.partition.replicas[place % len(self.partition.replicas)]
        if node in self.alive and self.partition.may_lead(node) and self.partition.leader != NO_LEADER:
            self.partition.lead(node, self.alive)
            self.sync()

    @rule(nodes=st.permutations(NODES), size=st.integers(1, 4))
    def reassign(self, nodes, size):
        """New replicas have all before one of them leads."""
        self.follow(nodes[:size])
        self.partition.reassign(nodes[:size], self.alive)
        self.sync()

    @rule()
    def cancel(self):
        if self.partition.adding or self.partition.removing:
            with contextlib.suppress(Refused):
                self.partition.cancel_reassignment(self.alive)
            self.sync()

    # --- what always holds ---

    @invariant()
    def every_replica_has_what_the_model_has(self):
        partition = self.partition
        for node, log in self.logs.items():
            source = partition.behind.get(node, partition)
            end = partition.end_of(node)
            assert records(source.log.batches(), source.log.start_offset, end) == log, node
            assert end == len(log)

    @invariant()
    def the_high_watermark_is_what_all_in_sync_have(self):
        partition = self.partition
        assert set(partition.in_sync) <= set(partition.replicas) & self.alive
        if partition.leader != NO_LEADER:
            assert partition.leader in partition.in_sync
            leads = self.logs[partition.leader]
            least = min(shared(leads, self.logs[node]) for node in partition.in_sync)
            assert partition.high_watermark <= least
            if len(partition.in_sync) >= partition.least_in_sync:
                assert partition.high_watermark == least

    @invariant()
    def epochs_end_where_the_records_say(self):
        partition = self.partition
        for node, log in self.logs.items():
            source = partition.behind.get(node, partition)
            for asked in range(partition.leader_epoch):
                known = [entry.epoch for entry in log if entry.epoch <= asked]
                found = source.epochs.end_of(asked, len(log))
                newer = any(entry.epoch > asked for entry in log) or (
                    source is partition and partition.leader != NO_LEADER
                )
                if known and newer:
                    assert found == (known[-1], len(known)), (node, asked)
                elif known and known[-1] == asked:
                    assert found == (asked, len(log))

    @invariant()
    def producers_are_known_by_their_last_batch(self):
        if self.partition.leader == NO_LEADER:
            return
        log = self.logs[self.partition.leader]
        known = {known.producer_id: known.last_sequence for known in self.partition.producers.active()}
        assert known == {entry.producer: entry.sequence for entry in log}


Replicas.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReplicas = Replicas.TestCase
