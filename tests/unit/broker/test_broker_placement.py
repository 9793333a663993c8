"""Where replicas go, and features: small rules of the cluster."""

import pytest

from felice.broker.features import Features, Update, Upgrade
from felice.broker.placement import assigned, spread
from felice.broker.refusal import Refused
from felice.errors import ErrorCode


def test_partitions_go_round() -> None:
    """Each node leads in turn, and followers are the next in the row."""
    assert spread([1, 2, 3], 4, 2) == [[1, 2], [2, 3], [3, 1], [1, 2]]
    assert spread([1, 2, 3], 2, 1, first=4) == [[2], [3]]


@pytest.mark.parametrize(
    ("partitions", "replicas", "code"),
    [
        (1, 4, ErrorCode.INVALID_REPLICATION_FACTOR),
        (1, 0, ErrorCode.INVALID_REPLICATION_FACTOR),
        (0, 1, ErrorCode.INVALID_PARTITIONS),
        (10_001, 1, ErrorCode.POLICY_VIOLATION),
    ],
)
def test_numbers_that_cannot_be(partitions: int, replicas: int, code: ErrorCode) -> None:
    """Each has its own code."""
    with pytest.raises(Refused) as refused:
        spread([1, 2, 3], partitions, replicas)
    assert refused.value.code is code


def test_replicas_by_hand_come_in_the_order_of_partitions() -> None:
    """However they were listed."""
    assert assigned([(1, [2, 3]), (0, [3, 1])], {1, 2, 3}) == [[3, 1], [2, 3]]


@pytest.mark.parametrize(
    "manual", [[(0, [1]), (0, [2])], [(1, [1])], [(0, [])], [(0, [1, 1])], [(0, [9])], [(0, [1]), (1, [1, 2])]]
)
def test_replicas_by_hand_that_cannot_be(manual: list[tuple[int, list[int]]]) -> None:
    """Twice, with gaps, none, one node twice, a strange node, different numbers."""
    with pytest.raises(Refused) as refused:
        assigned(manual, {1, 2, 3})
    assert refused.value.code is ErrorCode.INVALID_REPLICA_ASSIGNMENT


def test_features_change_all_or_none() -> None:
    """One wrong level, and nothing changes; a right change makes a new epoch."""
    features = Features()
    down = Update("group.version", 0, Upgrade.SAFE_DOWNGRADE)
    with pytest.raises(Refused) as refused:
        features.update([down, Update("nobody.version", 1, Upgrade.UPGRADE)])
    assert refused.value.code is ErrorCode.INVALID_UPDATE_VERSION
    assert (features.level("group.version"), features.epoch) == (1, 1)
    features.update([down], validate_only=True)
    assert features.level("group.version") == 1
    features.update([down])
    assert (features.level("group.version"), features.epoch) == (0, 2)
    assert "group.version" not in features.agreed()


def test_a_downgrade_must_be_asked_for() -> None:
    """An upgrade to a lower level is refused, and metadata never goes down."""
    for update in (
        Update("transaction.version", 1, Upgrade.UPGRADE),
        Update("metadata.version", 29, Upgrade.SAFE_DOWNGRADE),
    ):
        with pytest.raises(Refused):
            Features().update([update])
