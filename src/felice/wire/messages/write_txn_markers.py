"""WriteTxnMarkers (key 27): the markers that end transactions, for the leaders of their partitions (KIP-98).

Coordinators send it, and admins who end a transaction that hangs (KIP-664). The answer has errors by partition only.
Version 2 says of which version the transaction is (KIP-1228).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int8, int16, int32, int64, string

__all__ = ["WriteTxnMarkersRequest", "WriteTxnMarkersResponse"]


class WriteTxnMarkersRequest(Request["WriteTxnMarkersResponse"], key=27, versions="1-2", flexible="1+"):
    class WritableTxnMarker(Struct):
        class WritableTxnMarkerTopic(Struct):
            name: str = string("0+")
            partition_indexes: list[int] = array(int32, "0+")

        producer_id: int = int64("0+")
        producer_epoch: int = int16("0+")
        transaction_result: bool = boolean("0+")
        topics: list[WritableTxnMarkerTopic] = array(WritableTxnMarkerTopic, "0+")
        coordinator_epoch: int = int32("0+")
        transaction_version: int = int8("2+", ignorable=True)

    WritableTxnMarkerTopic = Alias[WritableTxnMarker.WritableTxnMarkerTopic]

    markers: list[WritableTxnMarker] = array(WritableTxnMarker, "0+")


class WriteTxnMarkersResponse(Response, answers=WriteTxnMarkersRequest):
    class WritableTxnMarkerResult(Struct):
        class WritableTxnMarkerTopicResult(Struct):
            class WritableTxnMarkerPartitionResult(Struct):
                partition_index: int = int32("0+")
                error_code: int = int16("0+")

            name: str = string("0+")
            partitions: list[WritableTxnMarkerPartitionResult] = array(WritableTxnMarkerPartitionResult, "0+")

        producer_id: int = int64("0+")
        topics: list[WritableTxnMarkerTopicResult] = array(WritableTxnMarkerTopicResult, "0+")

    WritableTxnMarkerTopicResult = Alias[WritableTxnMarkerResult.WritableTxnMarkerTopicResult]
    WritableTxnMarkerPartitionResult = Alias[
        WritableTxnMarkerResult.WritableTxnMarkerTopicResult.WritableTxnMarkerPartitionResult
    ]

    markers: list[WritableTxnMarkerResult] = array(WritableTxnMarkerResult, "0+")
