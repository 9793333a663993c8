"""Leader epochs of a partition."""

from felice.broker.epochs import UNDEFINED, LeaderEpochs


def history(*entries: tuple[int, int]) -> LeaderEpochs:
    """Epochs with the offsets they begin at."""
    epochs = LeaderEpochs()
    for epoch, start in entries:
        epochs.assign(epoch, start)
    return epochs


def test_an_epoch_ends_where_the_next_one_begins() -> None:
    """The end of an epoch is the start of the one behind it, and of the latest the end of the log."""
    epochs = history((0, 0), (1, 10), (4, 25))
    assert epochs.end_of(0, 40) == (0, 10)
    assert epochs.end_of(1, 40) == (1, 25)
    assert epochs.end_of(4, 40) == (4, 40)


def test_a_missing_epoch_is_answered_with_the_one_before() -> None:
    """Of epochs that wrote nothing here the largest smaller one counts (KIP-279)."""
    assert history((0, 0), (1, 10), (4, 25)).end_of(3, 40) == (1, 25)


def test_unknown_epochs() -> None:
    """A newer epoch than any, and none at all, have no end; an older one than any ends where the first begins."""
    epochs = history((2, 5), (3, 9))
    assert epochs.end_of(7, 40) == (UNDEFINED, UNDEFINED)
    assert epochs.end_of(UNDEFINED, 40) == (UNDEFINED, UNDEFINED)
    assert epochs.end_of(1, 40) == (1, 5)


def test_an_epoch_without_records_is_forgotten() -> None:
    """Leaders that change without a record between them leave only the last."""
    epochs = history((0, 0), (1, 10), (2, 10), (3, 10))
    assert epochs.end_of(2, 30) == (0, 10)
    assert epochs.latest == 3
    assert epochs.of(10) == 3
    assert epochs.of(9) == 0


def test_deleting_records_moves_the_first_epoch() -> None:
    """Epochs before the log's start go; the one across it begins there."""
    epochs = history((0, 0), (1, 10), (2, 20))
    epochs.advance(15)
    assert epochs.of(15) == 1
    assert epochs.of(14) == UNDEFINED
    assert epochs.end_of(0, 30) == (0, 15)


def test_a_shorter_log_knows_the_epochs_it_has_records_of() -> None:
    """An epoch that begins at the end or behind it is not there; the other epochs stay as they are (KIP-101)."""
    epochs = history((0, 0), (1, 10), (4, 25))
    shorter = epochs.prefix(25)
    assert (shorter.latest, shorter.latest_start, shorter.end_of(1, 25)) == (1, 10, (1, 25))
    assert epochs.prefix(26).latest == epochs.latest == 4
    assert epochs.prefix(0).latest_start == UNDEFINED


def test_two_logs_part_in_the_newest_epoch_that_both_know() -> None:
    """They have the same up to where the first of them leaves it, and nothing where they share no epoch."""
    ours, theirs = history((0, 0), (1, 10), (4, 25)), history((0, 0), (1, 10), (2, 20), (3, 30))
    assert ours.shared_end(40, theirs, 35) == theirs.shared_end(35, ours, 40) == 20
    assert ours.shared_end(40, ours.prefix(15), 15) == 15
    assert ours.shared_end(40, ours.prefix(30), 30) == 30
    assert ours.shared_end(40, history(), 0) == 0
    assert ours.shared_end(40, history((7, 0)), 12) == 0
