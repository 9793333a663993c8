"""What a partition of `__consumer_offsets` says of groups: read again where its log has lost records."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.consumer_reading import ConsumerKey, read_consumer_group
from felice.broker.groups.group import Group
from felice.broker.groups.offsets import Committed, Offsets
from felice.broker.groups.share_reading import ShareKey, read_share_group
from felice.broker.log import PartitionLog
from felice.wire.messages.offsets_topic import (
    KEYS,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from felice.wire.records import ControlType, Record, read_control, read_header, read_records
from felice.wire.schema import RecordKey, RecordValue, unpack_key

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["read_groups"]

NO_EXPIRY = -1

K = TypeVar("K", bound=RecordKey)

Known: TypeAlias = dict[bytes, tuple[K, RecordValue]]
"""The records that count, by the bytes of their keys."""


def read_groups(log: PartitionLog, groups: "Groups", group_id: str | None = None) -> Iterator[Group]:
    """Give the groups of which a log tells, or one of them; time does not pass for their members yet."""
    drafts: dict[str, _Draft] = {}
    for batch in log.batches():
        header = read_header(batch)
        for record in read_records(batch, check_crc=False):
            if header.is_control:
                committed = read_control(record) is ControlType.COMMIT
                for draft in drafts.values():
                    draft.offsets.settle(header.producer_id, committed)
            else:
                _take(drafts, record, header.producer_id if header.is_transactional else None)
    for known, draft in drafts.items():
        group = draft.group(known, groups) if group_id in (None, known) else None
        if group is not None:
            yield group


class _Draft:
    """A group as far as its records were read."""

    def __init__(self) -> None:
        self.offsets = Offsets()
        self.classic: GroupMetadataValue | None = None
        self.consumer: Known[ConsumerKey] = {}
        self.share: Known[ShareKey] = {}

    def group(self, group_id: str, groups: "Groups") -> Group | None:
        """Return the group, or None where all of it was deleted."""
        found: Group | None = read_consumer_group(group_id, groups, self.offsets, self.consumer.values())
        if found is None:
            found = read_share_group(group_id, groups, self.share.values())
        if found is None and (self.classic is not None or self.offsets.partitions()):
            return ClassicGroup.read(group_id, groups, self.offsets, self.classic)
        return found


def _take(drafts: dict[str, _Draft], record: Record, producer_id: int | None) -> None:
    """Take in a record, which may belong to a producer's transaction."""
    name, value = bytes(record.key or b""), record.value
    key = unpack_key(KEYS, name)
    if isinstance(key, OffsetCommitKey):
        _take_offset(drafts.setdefault(key.group, _Draft()).offsets, key, record, producer_id)
    elif isinstance(key, GroupMetadataKey):
        draft = drafts.setdefault(key.group, _Draft())
        draft.classic = None if value is None else GroupMetadataValue.unpack(value)
    elif isinstance(key, ConsumerKey):
        _know(drafts.setdefault(key.group_id, _Draft()).consumer, name, key, value)
    elif isinstance(key, ShareKey):
        _know(drafts.setdefault(key.group_id, _Draft()).share, name, key, value)


def _know(known: Known[K], name: bytes, key: K, value: bytes | None) -> None:
    """Take in a record with this key, or that it was deleted."""
    if value is None:
        known.pop(name, None)
    else:
        known[name] = key, key.value.unpack(value)


def _take_offset(offsets: Offsets, key: OffsetCommitKey, record: Record, producer_id: int | None) -> None:
    """Take in a commit, or that one was deleted."""
    if record.value is None:
        offsets.drop(key.topic, key.partition)
        return
    value = OffsetCommitValue.unpack(record.value)
    committed = Committed(
        value.offset,
        value.leader_epoch,
        value.metadata,
        value.commit_timestamp,
        None if value.expire_timestamp == NO_EXPIRY else value.expire_timestamp,
        value.topic_id,
        record.offset,
    )
    if producer_id is None:
        offsets.put(key.topic, key.partition, committed)
    else:
        offsets.stage(producer_id, key.topic, key.partition, committed)
