"""Compaction against a model: whatever is written, ended, cleaned, deleted, cut off and read, and whenever that is.

The last record of every key survives at its offset, as it was; what is gone had to go.
"""

from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from felice.broker.admission import admit
from felice.broker.producers import Producers
from felice.broker.transactions.markers import mark
from felice.broker.transactions.transaction import Identity
from felice.wire.records import BatchBuilder, Codec, read_control, read_header, read_records, split
from virtual_cluster import virtual_cluster

KEYS = [b"a", b"b", b"c"]
IDEMPOTENT, TRANSACTIONAL = (7,), (8, 9)
EVERYTHING = 1 << 40
pairs = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([b"", b"value", None])), min_size=1, max_size=4)


class Entry(NamedTuple):
    """A record as it was written."""

    key: bytes
    value: bytes | None
    time: int
    producer: int | None


def data(log):
    """Return the records of a log by offset, control records left out, and check that their offsets grow."""
    found = [
        (record.offset, record)
        for piece in log.batches()
        if not read_header(piece).is_control
        for record in read_records(piece)
    ]
    assert [offset for offset, _ in found] == sorted({offset for offset, _ in found})
    return dict(found)


class Compaction(RuleBasedStateMachine):
    """A partition with two replicas, and all that was ever written to it."""

    @initialize(
        ratio=st.sampled_from(["0", "0.5"]),
        tombstones=st.sampled_from([0, 3_000, 60_000]),
        young=st.sampled_from([0, 5_000]),
    )
    def begin(self, ratio, tombstones, young):
        self.cluster = virtual_cluster(2, log_cleaner_backoff_ms=1000)
        self.tombstones, self.young = tombstones, young
        configs = {
            "cleanup.policy": "compact", "segment.ms": "2000", "min.cleanable.dirty.ratio": ratio,
            "delete.retention.ms": str(tombstones), "min.compaction.lag.ms": str(young),
            "unclean.leader.election.enable": "true",
        }  # fmt: skip
        plan = self.cluster.plan_topic("letters", 1, 2, configs=configs)
        self.partition = self.cluster.create_topic(plan).partitions[0]
        self.topic = self.cluster.topic("letters")
        self.written: dict[int, Entry] = {}
        self.markers: dict[int, tuple[int, bool]] = {}
        self.open: dict[int, set[int]] = {}
        self.aborted: set[int] = set()
        self.sequences = dict.fromkeys((*IDEMPOTENT, *TRANSACTIONAL), 0)
        self.held: list[tuple[memoryview, bytes]] = []
        self.start = self.end = 0

    # --- what happens ---

    @rule(
        records=pairs,
        producer=st.sampled_from([None, *IDEMPOTENT, *TRANSACTIONAL]),
        codec=st.sampled_from([Codec.NONE, Codec.GZIP]),
        pause=st.sampled_from([0, 0, 2.5]),
    )
    def write(self, records, producer, codec, pause):
        """Write a batch, which begins another segment after a pause."""
        self.cluster.clock.advance(pause)
        now, partition = self.cluster.clock.time_ms(), self.partition
        builder = BatchBuilder()
        for key, value in records:
            builder.append(value, key, [("h", b"x")], now)
        who = {}
        if producer is not None:
            who = {"producer_id": producer, "producer_epoch": 0, "base_sequence": self.sequences[producer]}
            self.sequences[producer] += len(records)
        made = builder.seal(codec=codec, transactional=producer in TRANSACTIONAL, **who)
        offset, _ = admit(
            bytes(made), partition, self.topic.settings, version=9, now=now, producers_since=0,
            enlist=lambda *_: None,
        )  # fmt: skip
        assert offset == self.end
        for number, (key, value) in enumerate(records):
            self.written[offset + number] = Entry(key, value, now, producer)
            if producer in TRANSACTIONAL:
                self.open.setdefault(producer, set()).add(offset + number)
        self.end += len(records)

    @rule(batches=st.lists(pairs, min_size=2, max_size=4))
    def go_on(self, batches):
        """Write enough segments for the cleaner to come by."""
        for records in batches:
            self.write(records, None, Codec.NONE, 2.5)
        self.pass_time(1.5)

    @rule(producer=st.sampled_from(TRANSACTIONAL), commit=st.booleans())
    def end_transaction(self, producer, commit):
        if producer in self.open:
            mark(
                self.cluster, "letters", self.partition, Identity(producer, 0),
                committed=commit, coordinator_epoch=0, version=1,
            )  # fmt: skip
            self.markers[self.end] = producer, commit
            offsets = self.open.pop(producer)
            if not commit:
                self.aborted |= offsets
            self.end += 1
            self.begin_anew()

    def begin_anew(self):
        """Let producers begin with 0 of which no batch is known any more, only a marker."""
        for known in self.partition.producers.active():
            assert known.last_sequence < self.sequences[known.producer_id]
            self.sequences[known.producer_id] = known.last_sequence + 1

    @rule(seconds=st.sampled_from([0.5, 1.5, 3, 6]))
    def pass_time(self, seconds):
        self.cluster.clock.advance(seconds)

    @rule(drop=st.booleans())
    def lag(self, drop):
        self.partition.pause(2)
        if drop:
            self.partition.drop(2)

    @rule()
    def catch_up(self):
        self.cluster.grow_isr(self.partition, 2)

    @rule(share=st.floats(0, 1))
    def delete_records(self, share):
        self.start = max(self.start, int(share * self.partition.high_watermark))
        self.partition.delete_before(self.start)

    @rule()
    def lose_the_leader(self):
        """Go on with what the other replica has; what was decided behind that is undecided again."""
        partition, nodes = self.partition, self.cluster.nodes
        self.end = partition.end_of(2)
        self.cluster.node_stopped(nodes[1])
        self.cluster.node_started(nodes[1])
        self.cluster.move_leader(partition, 1)
        assert partition.log.start_offset <= self.start
        self.start = partition.log.start_offset
        written, markers = self.written, self.markers
        self.written = {offset: entry for offset, entry in written.items() if offset < self.end}
        self.markers = {offset: marker for offset, marker in markers.items() if offset < self.end}
        self.open, self.aborted = {}, set()
        self.sequences = dict.fromkeys(self.sequences, 0)
        for offset in sorted({*self.written, *self.markers}):
            if offset in self.markers:
                producer, commit = self.markers[offset]
                offsets = self.open.pop(producer)
                self.aborted |= set() if commit else offsets
            elif (producer := self.written[offset].producer) is not None:
                self.sequences[producer] += 1
                if producer in TRANSACTIONAL:
                    self.open.setdefault(producer, set()).add(offset)
        self.begin_anew()

    @rule(share=st.floats(0, 1))
    def hold_a_slice(self, share):
        offset = self.start + int(share * (self.end - self.start))
        view = self.partition.log.read(offset, until=EVERYTHING, max_bytes=EVERYTHING, at_least_one=True)
        self.held.append((view, bytes(view)))

    # --- what holds ---

    def may_miss(self, offset, before):
        """Tell whether a record may be gone from a log that ends `before` an offset."""
        entry = self.written[offset]
        if offset in self.aborted:
            return True
        if entry.value is None and self.cluster.clock.time_ms() >= entry.time + self.tombstones:
            return True
        undecided = set().union(*self.open.values()) if self.open else set()
        return any(
            other.key == entry.key and offset < place < before and place not in self.aborted | undecided
            for place, other in self.written.items()
        )

    def check_records(self, log, end):
        """Check that what a log has up to `end` is as it was written, and that what is missing had to go."""
        found = data(log)
        for offset, record in found.items():
            entry = self.written[offset]
            assert (record.key, record.value, record.timestamp_ms) == entry[:3]
            assert record.headers == (("h", b"x"),)
        for offset in self.written:
            here = log.start_offset <= offset < end
            assert offset in found or not here or self.may_miss(offset, end), f"{offset} is missing"
        return {offset: record for offset, record in found.items() if offset >= log.start_offset}

    @invariant()
    def what_had_to_stay_is_there(self):
        partition, log = self.partition, self.partition.log
        assert (log.start_offset, log.end_offset) == (self.start, self.end)
        assert log.size == sum(len(batch) for segment in log.segments for batch in segment.batches())
        found = self.check_records(log, self.end)
        clean = [record.key for offset, record in found.items() if offset < log.clean_end]
        assert len(clean) == len(set(clean)), "a key is twice in what was compacted"
        assert not any(offset < log.clean_end for offset in self.aborted & set(found))
        for copy in partition.behind.values():
            self.check_records(copy.log, copy.end)
        assert log.clean_end <= partition.last_stable_offset

    @invariant()
    def every_offset_can_be_read_from(self):
        log = self.partition.log
        pieces = [read_header(piece) for piece in log.batches()]
        for offset in range(self.start, self.end + 1):
            view = log.read(offset, until=EVERYTHING, max_bytes=1, at_least_one=True)
            first = next((header.base_offset for header in pieces if header.next_offset > offset), None)
            assert (read_header(view).base_offset if view else None) == first

    @invariant()
    def readers_of_committed_records_see_those(self):
        partition, at, seen = self.partition, self.start, []
        stable = partition.last_stable_offset
        while at < stable:
            view = partition.log.read(at, until=stable, max_bytes=200, at_least_one=True)
            if not view:
                break
            between = partition.transactions.aborted_between(at, partition.log.reach(at, len(view)))
            told = sorted((each.first_offset, each.producer_id) for each in between)
            out: set[int] = set()
            for header, piece in split(view):
                at = header.next_offset
                while told and told[0][0] <= header.last_offset:
                    out.add(told.pop(0)[1])
                if header.is_control:
                    if any(read_control(record) == 0 for record in read_records(piece)):
                        out.discard(header.producer_id)
                elif not (header.is_transactional and header.producer_id in out):
                    seen += [record.offset for record in read_records(piece)]
        expected = [offset for offset in data(partition.log) if offset < stable and offset not in self.aborted]
        assert [offset for offset in seen if offset >= self.start] == [
            offset for offset in expected if offset >= self.start
        ]

    @invariant()
    def producers_are_known_when_the_log_is_read_anew(self):
        known = {each.producer_id: each.last_sequence for each in self.partition.producers.active()}
        again = {
            each.producer_id: each.last_sequence for each in Producers.read(self.partition.log.batches(), 0).active()
        }
        if self.start:  # Then some of them may have nothing there any more, or only a marker.
            assert {(who, last) for who, last in again.items() if last >= 0} <= known.items()
        else:
            assert again == known

    @invariant()
    def what_was_handed_out_stays_as_it_was(self):
        for view, before in self.held:
            assert view == before


TestCompaction = Compaction.TestCase
TestCompaction.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
