"""Where the replicas of new partitions go."""

from collections import Counter

import pytest

from felice.broker.placement import spread
from felice.broker.refusal import Refused
from felice.errors import ErrorCode


def test_without_racks_nodes_take_turns() -> None:
    """Each partition begins one node further."""
    assert spread([1, 2, 3], 4, 2) == [[1, 2], [2, 3], [3, 1], [1, 2]]
    assert spread([1, 2, 3], 2, 2, first=1) == [[2, 3], [3, 1]]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 2), (3, 1), (2, 3, 1), (4,)])
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_racks_are_used_up_before_one_is_used_twice(sizes: tuple[int, ...], copies: int) -> None:
    """No node twice; as many racks as there can be; and every node of equal racks leads equally often."""
    racks: dict[int, str | None] = {}
    for rack, size in enumerate(sizes):
        for _ in range(size):
            racks[len(racks) + 1] = f"rack {rack}"
    rows = spread(sorted(racks), 24, min(copies, len(racks)), racks=racks)
    for row in rows:
        assert len(set(row)) == len(row)
        assert len({racks[node] for node in row}) == min(len(row), len(sizes))
    if len(set(sizes)) == 1:
        assert len(set(Counter(row[0] for row in rows).values())) == 1


def test_who_is_up_comes_first() -> None:
    """A node that is down leads nothing that others can lead."""
    rows = spread([1, 2, 3], 3, 2, alive={2, 3})
    assert [row[0] for row in rows] == [2, 2, 3]
    assert all(len(set(row)) == 2 for row in rows)


@pytest.mark.parametrize(
    ("partitions", "copies", "code"),
    [
        (1, 4, ErrorCode.INVALID_REPLICATION_FACTOR),
        (1, 0, ErrorCode.INVALID_REPLICATION_FACTOR),
        (0, 1, ErrorCode.INVALID_PARTITIONS),
        (10_001, 1, ErrorCode.POLICY_VIOLATION),
    ],
)
def test_what_cannot_be_is_refused(partitions: int, copies: int, code: ErrorCode) -> None:
    """More replicas than nodes, none, no partitions, too many."""
    with pytest.raises(Refused) as caught:
        spread([1, 2, 3], partitions, copies)
    assert caught.value.code == code
