"""Which nodes get the replicas of new partitions, and whether those that somebody chose can be. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["MAX_PARTITIONS_AT_ONCE", "assigned", "check_replicas", "spread"]

MAX_PARTITIONS_AT_ONCE = 10_000


def spread(
    nodes: Sequence[int],
    partitions: int,
    replication_factor: int,
    *,
    first: int = 0,
    racks: Mapping[int, str | None] | None = None,
    alive: Collection[int] | None = None,
) -> list[list[int]]:
    """Return replicas for partitions in turn on all nodes; partition `first` begins with that node in the row.

    Where `racks` tells nodes apart, a partition's replicas are on as many racks as they can be. Where it is known who
    is `alive`, such a node comes first.
    """
    if replication_factor <= 0:
        raise Refused(ErrorCode.INVALID_REPLICATION_FACTOR, f"{replication_factor} replicas; one is the least")
    if partitions <= 0:
        raise Refused(ErrorCode.INVALID_PARTITIONS, f"{partitions} partitions; there must be one or more")
    if replication_factor > len(nodes):
        raise Refused(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"{replication_factor} replicas, and only {len(nodes)} nodes to put them on",
        )
    if partitions > MAX_PARTITIONS_AT_ONCE:
        raise Refused(
            ErrorCode.POLICY_VIOLATION,
            f"{partitions} partitions; {MAX_PARTITIONS_AT_ONCE} is the most in one request",
        )
    by_rack: dict[str, list[int]] = {}
    for node in nodes:
        by_rack.setdefault((racks or {}).get(node) or "", []).append(node)
    rows = [by_rack[rack] for rack in sorted(by_rack)]
    spread_out = []
    for turn in range(first, first + partitions):
        row = _in_turn(rows, turn)
        if alive is not None:
            leader = next((node for node in row if node in alive), row[0])
            row = [leader, *(node for node in row if node != leader)]
        spread_out.append(row[:replication_factor])
    return spread_out


def _in_turn(rows: Sequence[Sequence[int]], turn: int) -> list[int]:
    """Return all nodes, one of each rack before the second of any; each turn begins elsewhere."""
    rounds = turn // len(rows)
    turned = [rows[(turn + place) % len(rows)] for place in range(len(rows))]
    return [row[(rounds + step) % len(row)] for step in range(max(map(len, rows))) for row in turned if step < len(row)]


def assigned(manual: Iterable[tuple[int, Sequence[int]]], nodes: Collection[int]) -> list[list[int]]:
    """Check the replicas of a topic that were assigned by hand, and return them in the partitions' order."""
    pairs = list(manual)
    by_index = dict(pairs)
    if len(by_index) != len(pairs):
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "a partition has two assignments")
    if sorted(by_index) != list(range(len(by_index))):
        raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "the partitions must be numbered from 0 on, without gaps")
    for index, replicas in by_index.items():
        check_replicas(replicas, nodes, f"partition {index}", as_many_as=len(by_index[0]))
    return [list(by_index[index]) for index in range(len(by_index))]


def check_replicas(replicas: Sequence[int], nodes: Collection[int], whose: str, *, as_many_as: int) -> None:
    """Refuse replicas that one partition cannot have, with INVALID_REPLICA_ASSIGNMENT."""
    strange = [node for node in replicas if node not in nodes]
    if not replicas:
        wrong = "has no replica"
    elif len(set(replicas)) != len(replicas):
        wrong = "has a node twice"
    elif strange:
        wrong = f"is on node {strange[0]}, which does not exist"
    elif len(replicas) != as_many_as:
        wrong = f"has {len(replicas)} replicas, and the others {as_many_as}"
    else:
        return
    raise Refused(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"{whose} {wrong}")
