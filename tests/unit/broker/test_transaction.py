"""One transactional ID's state machine: who owns it, what joins, how it ends, and what may be asked again."""

import itertools

import pytest

from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import Identity, State, Transaction
from felice.errors import ErrorCode

LETTERS = [("letters", 0)]
OLD, NEW = 0, 2


class Owner:
    """A transaction with a producer that always says what it was told last."""

    def __init__(self, producer_id: int = 7) -> None:
        self.ids = itertools.count(producer_id + 1)
        self.transaction = Transaction("writer", producer_id)
        self.now = 1000
        self.identity = self.claim(None)

    def claim(self, expected: Identity | None) -> Identity:
        """Take the ID."""
        self.now += 1
        self.transaction.claim(5000, expected, self.now, self.ids.__next__)
        return self.transaction.identity

    def add(self, version: int = NEW, identity: Identity | None = None) -> bool:
        """Let a partition join."""
        self.now += 1
        return self.transaction.add(LETTERS, identity or self.identity, version, self.now)

    def end(self, commit: bool = True, version: int = NEW, identity: Identity | None = None) -> Identity:
        """Decide; keep what is told, if anything changed."""
        self.now += 1
        decided = self.transaction.end(
            identity or self.identity, commit, version=version, now=self.now, new_producer_id=self.ids.__next__
        )
        if decided:
            self.identity = self.transaction.identity
        return self.transaction.identity

    def complete(self) -> None:
        """Have all markers written."""
        self.now += 1
        self.transaction.complete(self.now)

    def done(self, commit: bool = True, version: int = NEW) -> None:
        """Decide, with markers."""
        self.end(commit, version)
        self.complete()

    def epoch_is(self, epoch: int) -> "Owner":
        """Go to an epoch."""
        self.transaction.epoch = epoch
        self.identity = self.transaction.identity
        return self


def code_of(refused: "pytest.ExceptionInfo[Refused]") -> ErrorCode:
    """Return the code of a refusal."""
    return refused.value.code


def test_a_new_transactional_id_begins_with_epoch_zero() -> None:
    assert Owner().identity == (7, 0)


def test_who_takes_the_id_raises_the_epoch() -> None:
    owner = Owner()
    assert owner.claim(None) == (7, 1)
    with pytest.raises(Refused) as refused:
        owner.add(identity=Identity(7, 0))
    assert code_of(refused) is ErrorCode.PRODUCER_FENCED


def test_asking_again_with_the_epoch_before_gives_the_same() -> None:
    """The answer may have been lost on its way (KIP-360)."""
    owner = Owner()
    had = owner.identity
    assert owner.claim(had) == owner.claim(had) == (7, 1)


def test_asking_with_the_epoch_before_is_fenced_when_somebody_else_took_the_id() -> None:
    owner = Owner()
    had = owner.identity
    owner.claim(None)
    with pytest.raises(Refused) as refused:
        owner.claim(had)
    assert code_of(refused) is ErrorCode.PRODUCER_FENCED


def test_an_open_transaction_is_aborted_for_who_takes_the_id() -> None:
    owner = Owner()
    owner.add()
    owner.claim(None)
    assert (owner.transaction.state, owner.transaction.epoch) == (State.PREPARE_ABORT, 1)
    with pytest.raises(Refused) as refused:
        owner.claim(None)
    assert code_of(refused) is ErrorCode.CONCURRENT_TRANSACTIONS
    owner.complete()
    assert owner.claim(None) == (7, 2)


@pytest.mark.parametrize(("version", "step"), [(OLD, 0), (NEW, 1)])
def test_an_end_raises_the_epoch_in_new_transactions_only(version: int, step: int) -> None:
    owner = Owner()
    owner.add(version)
    assert owner.end(version=version) == (7, step)
    assert owner.transaction.state is State.PREPARE_COMMIT
    owner.complete()
    assert (owner.transaction.state, owner.transaction.partitions) == (State.COMPLETE_COMMIT, set())


@pytest.mark.parametrize("commit", [True, False])
@pytest.mark.parametrize("version", [OLD, NEW])
def test_the_same_end_asked_for_again_changes_nothing(version: int, commit: bool) -> None:
    owner = Owner()
    had = owner.identity
    owner.add(version)
    told = owner.end(commit, version)
    with pytest.raises(Refused) as refused:
        owner.end(commit, version, had)
    assert code_of(refused) is ErrorCode.CONCURRENT_TRANSACTIONS
    owner.complete()
    before = owner.transaction.updated_ms
    assert owner.end(commit, version, had) == told
    assert owner.transaction.updated_ms == before


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("complete", [True, False])
def test_the_other_end_is_refused_once_it_is_decided(version: int, complete: bool) -> None:
    owner = Owner()
    had = owner.identity
    owner.add(version)
    owner.end(True, version)
    if complete:
        owner.complete()
    with pytest.raises(Refused) as refused:
        owner.end(False, version, had)
    assert code_of(refused) is ErrorCode.INVALID_TXN_STATE


def test_what_has_not_begun_can_be_aborted_in_new_transactions_only() -> None:
    """A batch may be under way that the producer knows nothing of any more: the raised epoch keeps it out."""
    owner = Owner()
    with pytest.raises(Refused) as refused:
        owner.end(False, OLD)
    assert code_of(refused) is ErrorCode.INVALID_TXN_STATE
    assert owner.end(False, NEW) == (7, 1)
    owner.complete()
    with pytest.raises(Refused) as refused:
        owner.end(True, NEW)
    assert code_of(refused) is ErrorCode.INVALID_TXN_STATE


@pytest.mark.parametrize("epoch", [-1, 1, 5])
@pytest.mark.parametrize("version", [OLD, NEW])
def test_an_end_with_another_epoch_is_fenced(version: int, epoch: int) -> None:
    owner = Owner()
    owner.add(version)
    with pytest.raises(Refused) as refused:
        owner.end(True, version, Identity(7, epoch))
    assert code_of(refused) is ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize("version", [OLD, NEW])
def test_an_end_with_another_producer_id_is_refused(version: int) -> None:
    owner = Owner()
    owner.add(version)
    with pytest.raises(Refused) as refused:
        owner.end(True, version, Identity(8, 0))
    assert code_of(refused) is ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_nothing_joins_while_markers_are_missing() -> None:
    owner = Owner()
    owner.add()
    owner.end()
    with pytest.raises(Refused) as refused:
        owner.add()
    assert code_of(refused) is ErrorCode.CONCURRENT_TRANSACTIONS


def test_a_partition_that_joined_already_changes_nothing() -> None:
    owner = Owner()
    assert owner.add()
    began = owner.transaction.started_ms
    assert not owner.add()
    assert owner.transaction.started_ms == began


def test_a_used_up_producer_id_is_replaced_when_the_id_is_taken() -> None:
    owner = Owner().epoch_is(0x7FFF - 1)
    had = owner.identity
    assert owner.claim(had) == (8, 0)
    assert owner.claim(had) == (8, 0), "asked again"
    assert owner.claim(None) == (8, 1)


@pytest.mark.parametrize("commit", [True, False])
def test_a_used_up_producer_id_is_replaced_at_the_end(commit: bool) -> None:
    """The markers still have the old one, with the last epoch of all; the producer goes on with the new one."""
    owner = Owner().epoch_is(0x7FFF - 1)
    had = owner.identity
    owner.add()
    assert owner.end(commit) == (8, 0)
    assert (owner.transaction.producer_id, owner.transaction.epoch) == (7, 0x7FFF)
    owner.complete()
    assert (owner.transaction.producer_id, owner.transaction.epoch) == (8, 0)
    assert owner.end(commit, identity=had) == (8, 0), "asked again"
    owner.add()
    assert owner.end() == (8, 1)


def test_a_used_up_producer_id_is_replaced_when_it_is_fenced() -> None:
    owner = Owner().epoch_is(0x7FFF - 1)
    had = owner.identity
    owner.add()
    owner.transaction.fence(owner.now, owner.ids.__next__)
    owner.complete()
    assert owner.claim(had) == (8, 0)


def test_old_producers_of_a_fenced_id_cannot_end_what_was_aborted() -> None:
    owner = Owner()
    had = owner.identity
    owner.add(OLD)
    owner.transaction.fence(owner.now, owner.ids.__next__)
    owner.complete()
    with pytest.raises(Refused) as refused:
        owner.end(False, OLD, had)
    assert code_of(refused) is ErrorCode.PRODUCER_FENCED


@pytest.mark.parametrize(
    ("state", "shown"),
    [(State.EMPTY, "Empty"), (State.PREPARE_COMMIT, "PrepareCommit"), (State.PREPARE_EPOCH_FENCE, "PrepareEpochFence")],
)
def test_states_are_shown_by_kafkas_names(state: State, shown: str) -> None:
    assert state.shown == shown
