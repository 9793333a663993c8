"""What one partition knows of transactions: how far its log is stable, and what was aborted."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from felice.broker import journal
from felice.broker.open_transactions import OpenTransactions
from felice.broker.transactions.markers import mark
from felice.broker.transactions.transaction import Identity
from virtual_cluster import virtual_cluster

ALL = 1 << 40


def ended(*transactions: tuple[int, int, int, bool]) -> OpenTransactions:
    """Return what is known after transactions (producer, first offset, marker, committed), in any order."""
    made = OpenTransactions()
    events = [(first, producer, None, True) for producer, first, _, _ in transactions]
    events += [(marker, producer, marker, committed) for producer, _, marker, committed in transactions]
    for offset, producer, marker, committed in sorted(events, key=lambda event: event[0]):
        if marker is None:
            made.begin(producer, offset)
        else:
            made.end(producer, marker, committed=committed, high_watermark=marker + 1)
    return made


def test_without_transactions_all_is_stable() -> None:
    assert OpenTransactions().stable_offset(0, 10) == 10


def test_the_first_open_transaction_bounds_what_is_stable() -> None:
    made = OpenTransactions()
    made.begin(1, 4)
    made.begin(2, 6)
    assert made.stable_offset(0, 10) == 4
    made.end(1, 10, committed=True, high_watermark=11)
    assert made.stable_offset(0, 11) == 6
    made.end(2, 11, committed=True, high_watermark=12)
    assert made.stable_offset(0, 12) == 12


def test_a_marker_counts_when_it_is_below_the_high_watermark() -> None:
    made = OpenTransactions()
    made.begin(1, 4)
    made.end(1, 7, committed=True, high_watermark=5)
    assert [made.stable_offset(0, watermark) for watermark in (3, 5, 7, 8)] == [3, 4, 4, 8]


def test_nothing_before_the_start_of_the_log_is_the_stable_offset() -> None:
    made = OpenTransactions()
    made.begin(1, 4)
    assert made.stable_offset(6, 10) == 6


def test_a_marker_without_a_transaction_leaves_no_trace() -> None:
    made = OpenTransactions()
    made.end(1, 3, committed=False, high_watermark=4)
    assert made.aborted == []
    assert made.stable_offset(0, 4) == 4


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(0, ALL, [1, 2, 3]), (0, 2, [2]), (0, 3, [1, 2]), (6, ALL, [1, 3]), (9, ALL, [3]), (9, 10, []), (13, ALL, [])],
)
def test_aborted_transactions_are_found_by_the_offsets_that_are_read(start: int, end: int, found: list[int]) -> None:
    """Producer 2 has offsets 0 to 5, producer 1 has 2 to 8, producer 3 has 10 to 12."""
    made = ended((2, 0, 5, False), (1, 2, 8, False), (3, 10, 12, False), (4, 1, 9, True))
    assert sorted(aborted.producer_id for aborted in made.aborted_between(start, end)) == found


def test_what_was_aborted_before_the_start_of_the_log_is_forgotten() -> None:
    """But not a transaction whose marker is still there; and reading goes on as before."""
    made = ended((1, 0, 2, False), (2, 1, 5, False), (3, 6, 8, False))
    before = made.aborted_between(5, 9)
    made.delete_before(5)
    assert [aborted.producer_id for aborted in made.aborted] == [2, 3]
    assert made.aborted_between(5, 9) == before
    made.delete_before(9)
    assert made.aborted == []


def test_deleted_records_take_their_aborted_transactions_along() -> None:
    """And leave the open one."""
    cluster = virtual_cluster()
    [partition] = cluster.create_topic(cluster.plan_topic("letters", 1)).partitions
    for producer_id in (1, 2):
        journal.write(partition, [(b"key", b"value")], 0, writer=(producer_id, 0))
        if producer_id == 1:
            ending = {"committed": False, "coordinator_epoch": 0, "version": 1}
            mark(cluster, "letters", partition, Identity(producer_id, 0), **ending)
    assert len(partition.transactions.aborted) == 1
    partition.delete_before(partition.log.end_offset)
    assert partition.transactions.aborted == []
    assert partition.transactions.first_offset(2) == 2


def histories() -> st.SearchStrategy[list[tuple[int, int, int, bool]]]:
    """Transactions with distinct producers and offsets."""

    def spread(offsets: list[int], ends: list[bool]) -> list[tuple[int, int, int, bool]]:
        pairs = list(zip(offsets[::2], offsets[1::2], strict=False))
        return [
            (n, min(pair), max(pair), committed) for n, (pair, committed) in enumerate(zip(pairs, ends, strict=False))
        ]

    offsets = st.lists(st.integers(0, 60), unique=True, max_size=24)
    return st.builds(spread, offsets, st.lists(st.booleans(), min_size=12, max_size=12))


@given(histories(), st.integers(0, 60), st.integers(1, 61))
def test_exactly_the_aborted_transactions_in_reach_are_found(
    history: list[tuple[int, int, int, bool]], start: int, length: int
) -> None:
    """The early end of the search leaves none out."""
    end = start + length

    def in_reach(transactions: Iterable[tuple[int, int, int, bool]]) -> list[int]:
        return sorted(
            n for n, first, marker, committed in transactions if not committed and marker >= start and first < end
        )

    found = ended(*history).aborted_between(start, end)
    assert sorted(aborted.producer_id for aborted in found) == in_reach(history)
