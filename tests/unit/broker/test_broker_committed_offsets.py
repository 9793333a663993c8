"""The offsets of one group, with and without transactions."""

from felice.broker.groups.offsets import Committed, Offsets


def test_offsets_are_found_by_topic_and_partition():
    offsets = Offsets()
    offsets.put("a", 0, Committed(5))
    offsets.put("a", 1, Committed(6))
    offsets.put("b", 0, Committed(7))
    assert offsets.get("a", 1) == Committed(6)
    assert offsets.get("a", 2) is None
    assert offsets.get("c", 0) is None
    assert len(offsets) == 3
    assert [(topic, index, found.offset) for topic, index, found in offsets] == [("a", 0, 5), ("a", 1, 6), ("b", 0, 7)]


def test_what_a_transaction_commits_is_pending_until_it_is_decided():
    offsets = Offsets()
    offsets.stage(7, "a", 0, Committed(5, position=1))
    assert offsets.get("a", 0) is None
    assert offsets.is_pending("a", 0)
    assert not offsets.is_pending("a", 1)
    assert offsets.open_transactions == {7}
    offsets.settle(7, committed=True)
    assert offsets.get("a", 0) == Committed(5, position=1)
    assert not offsets.is_pending("a", 0)
    assert not offsets.open_transactions


def test_what_an_aborted_transaction_committed_is_forgotten():
    offsets = Offsets()
    offsets.put("a", 0, Committed(3))
    offsets.stage(7, "a", 0, Committed(5, position=1))
    offsets.settle(7, committed=False)
    assert offsets.get("a", 0) == Committed(3)
    assert not offsets.open_transactions


def test_the_later_record_wins_over_a_transaction_that_is_decided_after_it():
    offsets = Offsets()
    offsets.stage(7, "a", 0, Committed(5, position=1))
    offsets.put("a", 0, Committed(9, position=2))
    offsets.settle(7, committed=True)
    assert offsets.get("a", 0) == Committed(9, position=2)


def test_transactions_of_different_producers_are_decided_each_for_itself():
    offsets = Offsets()
    offsets.stage(7, "a", 0, Committed(5, position=1))
    offsets.stage(8, "a", 0, Committed(6, position=2))
    offsets.settle(8, committed=True)
    assert offsets.get("a", 0) == Committed(6, position=2)
    assert offsets.is_pending("a", 0)
    offsets.settle(7, committed=True)
    assert offsets.get("a", 0) == Committed(6, position=2)


def test_dropping_a_partition_takes_away_what_transactions_have_of_it():
    offsets = Offsets()
    offsets.put("a", 0, Committed(3))
    offsets.stage(7, "a", 0, Committed(5))
    offsets.stage(7, "b", 0, Committed(5))
    assert offsets.partitions() == {("a", 0), ("b", 0)}
    assert offsets.drop("a", 0)
    assert not offsets.drop("a", 0)
    assert offsets.partitions() == {("b", 0)}
    assert offsets.drop("b", 0)
    assert not offsets.open_transactions
    assert not offsets.by_topic


def test_ending_a_transaction_that_has_nothing_here_changes_nothing():
    offsets = Offsets()
    offsets.put("a", 0, Committed(3))
    offsets.settle(7, committed=True)
    assert offsets.get("a", 0) == Committed(3)
