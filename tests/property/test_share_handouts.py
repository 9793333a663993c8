"""What a share partition hands out, against a model that knows each record by itself."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from felice.broker.shares.deliveries import RecordState
from share_partition import SharedPartition

LOCK = 15.0
LOCKS, LARGEST = 100, 12
MOST_ABORTED = LOCKS // LARGEST
"""As on Kafka a group is stuck for good where more records follow each other that nobody gets than may be in flight."""
GAP, ACCEPT, RELEASE, REJECT, RENEW = range(5)
MEMBERS = st.sampled_from(["one", "two"])
OPEN, DONE = "open", "done"


@dataclass
class Modelled:
    """One record: how often it was delivered, whose it is until when, and what is written of it."""

    deliveries: int = 0
    owner: str = ""
    due: float = 0.0
    state: str = OPEN
    written: tuple[str, int] = (OPEN, 0)

    def settle(self, state, most):
        """Take it from its owner."""
        self.owner = ""
        self.state = DONE if state == DONE or self.deliveries >= most else OPEN
        self.written = self.state, self.deliveries


class Sharing(RuleBasedStateMachine):
    """Members acquire, acknowledge, release, and are too slow; the leader changes.

    Records are deleted, compacted, or belong to transactions that were aborted: what becomes of those is not modelled.
    """

    def __init__(self):
        super().__init__()
        self.records: list[Modelled] = []
        self.spans: list[tuple[int, int]] = []
        self.now = 0.0

    def is_gone(self, offset):
        """Tell whether nobody waits for a record."""
        gone = self.shared.compacted | self.shared.aborted
        return offset < self.shared.partition.log.start_offset or any(first <= offset <= last for first, last in gone)

    @initialize(most=st.integers(2, 6))
    def begin(self, most):
        self.most = most
        self.shared = SharedPartition(
            delivery_count_limit=most, record_lock_duration_ms=int(LOCK * 1000), partition_max_record_locks=LOCKS
        )

    @rule(count=st.integers(1, LARGEST), aborted=st.sampled_from([False, False, False, True]))
    def append(self, count, aborted):
        self.spans.append((len(self.records), len(self.records) + count - 1))
        if aborted and len(self.shared.aborted) < MOST_ABORTED:
            self.shared.aborted.add(self.spans[-1])
        self.shared.append(count)
        self.records += [Modelled() for _ in range(count)]

    @precondition(lambda self: self.records)
    @rule(count=st.integers(1, 15))
    def delete(self, count):
        log = self.shared.partition.log
        self.shared.partition.delete_before(min(log.start_offset + count, log.end_offset))

    @precondition(lambda self: self.spans)
    @rule(data=st.data())
    def compact(self, data):
        span = data.draw(st.sampled_from(self.spans))
        self.shared.compacted.add(span)
        self.shared.aborted.discard(span)

    @rule(member=MEMBERS, most=st.integers(1, 20), size=st.integers(1, 10), strict=st.booleans())
    def acquire(self, member, most, size, strict):
        acquired = self.shared.acquire(member, most, size, strict=strict)
        if strict:
            assert sum(each.last - each.first + 1 for each in acquired) <= most
        self.take(member, acquired)

    def take(self, member, acquired):
        """Check that what a member got was free, and is counted right."""
        behind = -1
        for first, last, deliveries in acquired:
            assert behind < first <= last
            behind = last
            for offset in range(first, last + 1):
                if self.is_gone(offset):
                    assert not any(one <= offset <= other for one, other in self.shared.aborted)
                    assert offset >= self.shared.partition.log.start_offset
                    continue
                record = self.records[offset]
                assert (record.state, record.owner) == (OPEN, ""), offset
                record.deliveries += 1
                assert deliveries == record.deliveries <= self.most
                record.owner, record.due = member, self.now + LOCK

    @rule(member=MEMBERS, data=st.data())
    def say(self, member, data):
        """Acknowledge some of what a member has, with one type or one for each."""
        own = [
            offset for offset, record in enumerate(self.records) if record.owner == member and not self.is_gone(offset)
        ]
        if not own:
            return
        first = last = data.draw(st.sampled_from(own))
        while last + 1 in own and data.draw(st.booleans()):
            last += 1
        types = data.draw(st.lists(st.integers(GAP, RENEW), min_size=last - first + 1, max_size=last - first + 1))
        if len(set(types)) == 1 and data.draw(st.booleans()):
            types = types[:1]
        self.shared.say(first, last, types, member)
        for place, offset in enumerate(range(first, last + 1)):
            kind = types[place] if len(types) > 1 else types[0]
            if kind == RENEW:
                self.records[offset].due = self.now + LOCK
            else:
                self.records[offset].settle(OPEN if kind == RELEASE else DONE, self.most)

    @rule(member=MEMBERS)
    def leave(self, member):
        self.shared.handout.release(member)
        for record in self.records:
            if record.owner == member:
                record.settle(OPEN, self.most)

    @rule(seconds=st.sampled_from([1.0, 7.0, LOCK]))
    def wait(self, seconds):
        self.shared.pass_time(seconds)
        self.now += seconds
        for record in self.records:
            if record.owner and record.due <= self.now:
                record.settle(OPEN, self.most)

    @rule()
    def change_leader(self):
        """What was delivered and nothing written of comes again, as if it had not been."""
        self.shared.read_anew()
        for record in self.records:
            record.owner = ""
            record.state, record.deliveries = record.written

    @invariant()
    def nobody_has_what_is_free(self):
        if not hasattr(self, "shared"):
            return
        window = self.shared.handout.window
        for batch in window.batches:
            for offset in range(max(batch.first, window.start), batch.last + 1):
                if self.is_gone(offset):
                    continue
                delivery, record = batch.at(offset), self.records[offset]
                assert delivery.owner == record.owner, offset
                assert delivery.count == record.deliveries, offset
                assert delivery.state.is_final == (record.state == DONE), offset
        assert self.are_done(window.start)
        done = sum(batch.final_between(window.start, batch.last) for batch in window.batches)
        assert window.complete == done
        assert window.size <= LOCKS + 20 + LARGEST

    def are_done(self, end):
        """Tell whether nothing is left to do with the records before an offset."""
        return all(record.state == DONE or self.is_gone(offset) for offset, record in enumerate(self.records[:end]))

    def teardown(self):
        """Nothing is lost: what is left comes to somebody, until all is done with."""
        if not self.records:
            return
        self.wait(LOCK)
        for _ in range(20 * len(self.records)):
            acquired = self.shared.acquire("last")
            self.take("last", acquired)
            for first, last, _ in acquired:
                self.shared.say(first, last, ACCEPT, "last")
                for offset in range(first, last + 1):
                    self.records[offset].settle(DONE, self.most)
        assert self.are_done(len(self.records))


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_states_have_kafkas_numbers():
    """The numbers are those of the records that share coordinators keep."""
    assert [state.value for state in RecordState] == [0, 1, 2, 4]
