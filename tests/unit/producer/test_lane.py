"""A lane: one partition's batches between the accumulator and the broker."""

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from felice.producer.lane import Lane
from felice.producer.sequence import Identity

ME = Identity(7, 0)
NEXT = Identity(7, 1)
WINDOW = 5


@dataclass(eq=False)
class Numbered:
    """What a lane needs of a batch."""

    name: str
    records: int = 1
    begun: float = 0.0
    serial: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1
    in_flight: bool = field(default=False)

    def __len__(self) -> int:
        return self.records

    def __repr__(self) -> str:
        return self.name


def make(*names: str) -> Lane:
    """Make a lane whose queue has these sealed batches, begun one second after the other."""
    sealed = deque(Numbered(name, begun=float(n)) for n, name in enumerate(names))
    return Lane(SimpleNamespace(topic="letters", partition=3, sealed=sealed, open=None))  # type: ignore[arg-type]


def send(lane: Lane, *, now: float = 100.0, identity: Identity | None = ME, idempotent: bool = True) -> Any:
    """Take the next batch into flight as the sender does; None where none may go."""
    batch = lane.next_batch(now, WINDOW, identity, idempotent)
    if batch is not None:
        fresh = batch not in lane.waiting
        lane.take(batch, 1)
        if fresh:
            lane.sequence.stamp(batch, identity if idempotent else None)
            lane.sequence.established = True
    return batch


def test_a_lane_is_called_as_people_write_it() -> None:
    """Topic and partition, with a dash."""
    assert make().name == "letters-3"


def test_batches_go_in_the_order_of_sealing_up_to_the_window() -> None:
    """No more than the window are under way, the oldest first."""
    lane = make(*"abcdefg")
    assert [str(send(lane)) for _ in range(5)] == list("abcde")
    assert send(lane) is None
    assert lane.come_back(lane.in_flight[0])
    assert str(send(lane)) == "f"


def test_row_26_the_first_batch_of_an_epoch_goes_alone() -> None:
    """Row 26: a broker without anything of a producer takes any sequence, so the second waits for the first's answer.

    1. the first is refused by a node that does not lead yet; 2. the node becomes leader; 3. the second is taken.
    """
    lane = make(*"abc")
    first = send(lane)
    lane.sequence.established = False
    assert send(lane) is None
    lane.come_back(first)
    lane.sequence.delivered(first)
    assert [str(send(lane)), str(send(lane))] == ["b", "c"]


def test_without_idempotence_nothing_is_established() -> None:
    """There are no sequences that a broker could check, so nothing waits for them."""
    lane = make(*"abc")
    assert [str(send(lane, idempotent=False)), lane.sequence.established] == ["a", True]
    lane.sequence.established = False
    assert str(send(lane, idempotent=False)) == "b"


def test_what_came_back_goes_before_what_was_never_sent_and_in_its_old_order() -> None:
    """Row 1: however the batches come back, they wait by serial number."""
    lane = make(*"abcd")
    a, b, c = send(lane), send(lane), send(lane)
    for batch in (c, a, b):
        assert lane.come_back(batch)
        lane.put_back(batch)
    assert lane.waiting == [a, b, c]
    assert [send(lane), send(lane), send(lane), str(send(lane))] == [a, b, c, "d"]


def test_a_batch_that_was_given_up_does_not_come_back() -> None:
    """An answer that comes after the delivery timeout changes nothing."""
    lane = make("a")
    batch = send(lane)
    assert lane.expired(now=1000, patience=10) == [batch]
    assert not lane.come_back(batch)
    assert lane.idle
    assert not lane.busy


def test_a_pause_holds_everything() -> None:
    """Until the pause is over neither old nor new batches go."""
    lane = make(*"ab")
    first = send(lane)
    lane.come_back(first)
    lane.put_back(first)
    lane.retry_at = 101.0
    assert send(lane, now=100.9) is None
    assert send(lane, now=101.0) is first


def test_without_an_identity_an_idempotent_lane_waits() -> None:
    """Nothing is stamped before the producer has its ID; without idempotence there is nothing to wait for."""
    lane = make(*"a")
    assert send(lane, identity=None) is None
    assert str(send(lane, identity=None, idempotent=False)) == "a"


def test_a_new_epoch_waits_until_the_old_one_is_settled() -> None:
    """Row 26: what is stamped with the old epoch goes first, to its end; then the new epoch begins at 0."""
    lane = make(*"ab")
    first = send(lane)
    assert send(lane, identity=NEXT) is None
    lane.come_back(first)
    lane.put_back(first)
    assert send(lane, identity=NEXT) is first
    assert first.producer_epoch == 0
    lane.come_back(first)
    second = send(lane, identity=NEXT)
    assert (second.producer_epoch, second.base_sequence) == (1, 0)


def test_beginning_again_waits_for_what_is_in_flight() -> None:
    """Row 26: while a request is under way its batch cannot be stamped anew, and nothing else goes."""
    lane = make(*"abc")
    first, second = send(lane), send(lane)
    lane.begin_again = True
    lane.come_back(first)
    lane.put_back(first)
    assert send(lane) is None
    lane.come_back(second)
    lane.put_back(second)
    assert send(lane) is first


def test_the_oldest_is_the_one_before_which_nothing_is_without_outcome() -> None:
    """Row 26: OUT_OF_ORDER means a hole only for the oldest batch; for the others it means that the oldest is late."""
    lane = make(*"abc")
    a, b, c = send(lane), send(lane), send(lane)
    assert [lane.oldest(batch) for batch in (a, b, c)] == [True, False, False]
    lane.come_back(a)
    lane.put_back(a)
    assert not lane.oldest(b)
    assert lane.unsettled() == [a, b, c]


@pytest.mark.parametrize("preparing", [False, True])
def test_what_is_too_old_is_taken_out_oldest_first(preparing: bool) -> None:
    """In flight, waiting or never sent; but not from under a thread that compresses it."""
    lane = make(*"abcd")
    a, b = send(lane), send(lane)
    lane.come_back(b)
    lane.put_back(b)
    lane.preparing = preparing
    late = [str(batch) for batch in lane.expired(now=12.0, patience=10.0)]
    assert late == (["a", "b"] if preparing else ["a", "b", "c"])
    assert a not in lane.in_flight
    assert [str(batch) for batch in lane.queue.sealed] == (["c", "d"] if preparing else ["d"])
