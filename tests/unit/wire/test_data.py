"""Messages without an API: behind a version, or behind the type of a record."""

import pytest

from felice.errors import UnsupportedVersion, WireError
from felice.wire.messages import offsets_topic, share_state_topic, transaction_log
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from felice.wire.messages.offsets_topic import (
    GroupMetadataKey,
    LegacyOffsetCommitKey,
    OffsetCommitKey,
    OffsetCommitValue,
)
from felice.wire.schema import RecordKey, unpack_key
from message_values import written_down


def test_data_stand_behind_their_version_in_two_bytes() -> None:
    """As Kafka's consumer writes a subscription: version, topics, user data; and later what its version adds."""
    subscription = ConsumerProtocolSubscription(topics=["letters"], user_data=b"mine")
    first = bytes.fromhex("0000 00000001 0007") + b"letters" + bytes.fromhex("00000004") + b"mine"
    assert subscription.pack(0) == first
    assert ConsumerProtocolSubscription.unpack(first) == subscription
    third = b"\0\3" + first[2:] + bytes.fromhex("00000000 ffffffff ffff")
    assert subscription.pack(3) == third
    assert ConsumerProtocolSubscription.unpack(memoryview(third)) == subscription


def test_a_later_version_of_data_is_read_as_the_last_one_known() -> None:
    """Members of one group may be of different ages; what a later version adds stands behind what is known."""
    written = ConsumerProtocolAssignment(user_data=b"x").pack(3)
    assert ConsumerProtocolAssignment.unpack(b"\0\x09" + written[2:] + b"more") == ConsumerProtocolAssignment(
        user_data=b"x"
    )
    with pytest.raises(WireError, match="no version -1, only 0-3"):
        ConsumerProtocolAssignment.unpack(b"\xff\xff" + written[2:])


def test_a_key_stands_behind_the_type_of_its_record() -> None:
    """Two keys of the same fields are told apart by it, and each leads to its value."""
    key = OffsetCommitKey(group="readers", topic="letters", partition=3)
    packed = bytes.fromhex("0001 0007") + b"readers" + bytes.fromhex("0007") + b"letters" + bytes.fromhex("00000003")
    assert key.pack() == packed
    assert unpack_key(offsets_topic.KEYS, packed) == key
    assert key.value is OffsetCommitValue
    older = unpack_key(offsets_topic.KEYS, b"\0\0" + packed[2:])
    assert older == LegacyOffsetCommitKey(group="readers", topic="letters", partition=3)
    with pytest.raises(WireError, match="GroupMetadataKey is of type 2, and this key of type 1"):
        GroupMetadataKey.unpack(packed)


def test_every_key_is_known_by_its_type_in_its_topic() -> None:
    """No two of a topic have the same type, and none is forgotten."""
    topics = (offsets_topic.KEYS, share_state_topic.KEYS, transaction_log.KEYS)
    for keys in topics:
        assert all(type == key.record_type for type, key in keys.items())
    known = [key for keys in topics for key in keys.values()]
    assert len(known) == len(set(known))
    assert set(known) == {one for one in written_down() if issubclass(one, RecordKey)}


def test_a_key_of_an_unknown_type_is_passed_over() -> None:
    """A later Kafka may write records that are of no concern here."""
    assert unpack_key(offsets_topic.KEYS, b"\x7f\xff anything") is None


def test_a_value_of_an_unknown_version_is_refused() -> None:
    """Kafka does not read such a record either: what versions of values add may stand anywhere (KIP-915)."""
    value = OffsetCommitValue(offset=7, leader_epoch=2, metadata="m", commit_timestamp=5)
    packed = value.pack(3)
    assert packed == bytes.fromhex("0003 0000000000000007 00000002 0001 6d 0000000000000005")
    assert OffsetCommitValue.unpack(packed) == value
    for version in (b"\0\5", b"\xff\xff"):
        with pytest.raises(WireError, match=r"no version -?[0-9], only 0-4"):
            OffsetCommitValue.unpack(version + packed[2:])
    with pytest.raises(UnsupportedVersion):
        value.pack(5)


@pytest.mark.parametrize("size", range(2))
def test_bytes_too_short_for_a_version_are_refused(size: int) -> None:
    """Also an empty value, which is not a missing one."""
    for unpack in (ConsumerProtocolSubscription.unpack, OffsetCommitKey.unpack, OffsetCommitValue.unpack):
        with pytest.raises(WireError):
            unpack(bytes(size))
    with pytest.raises(WireError):
        unpack_key(offsets_topic.KEYS, bytes(size))
