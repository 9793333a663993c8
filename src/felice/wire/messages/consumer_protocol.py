"""What consumers of the classic protocol tell each other: in `metadata` of JoinGroup, and `assignment` of SyncGroup.

The coordinator passes both on as bytes. Version 1 has the partitions that a member owns (KIP-429), 2 the generation of
which it owns them (KIP-792), 3 its rack (KIP-881); assignments are the same in all versions.
"""

from felice.wire.schema import Data, Struct, array, binary, int32, string

__all__ = ["ConsumerProtocolAssignment", "ConsumerProtocolSubscription"]


class ConsumerProtocolSubscription(Data, versions="0-3"):
    class TopicPartition(Struct):
        topic: str = string("1+")
        partitions: list[int] = array(int32, "1+")

    topics: list[str] = array(string, "0+")
    user_data: bytes | None = binary("0+", nullable="0+", default=None)
    owned_partitions: list[TopicPartition] = array(TopicPartition, "1+", ignorable=True)
    generation_id: int = int32("2+", default=-1, ignorable=True)
    rack_id: str | None = string("3+", nullable="3+", default=None, ignorable=True)


class ConsumerProtocolAssignment(Data, versions="0-3"):
    class TopicPartition(Struct):
        topic: str = string("0+")
        partitions: list[int] = array(int32, "0+")

    assigned_partitions: list[TopicPartition] = array(TopicPartition, "0+")
    user_data: bytes | None = binary("0+", nullable="0+", default=None)
