"""AddRaftVoter (key 80): a controller becomes a voter of the metadata's log (KIP-853).

A voter is its ID and the ID of its directory together. In version 1 the answer need not wait until the voters have
agreed (KIP-1186).
"""

from felice.wire.schema import Request, Response, Struct, array, boolean, int16, int32, string, uint16, uuid

__all__ = ["AddRaftVoterRequest", "AddRaftVoterResponse"]


class AddRaftVoterRequest(Request["AddRaftVoterResponse"], key=80, versions="0-1", flexible="0+"):
    class Listener(Struct):
        name: str = string("0+")
        host: str = string("0+")
        port: int = uint16("0+")

    cluster_id: str | None = string("0+", nullable="0+")
    timeout_ms: int = int32("0+")
    voter_id: int = int32("0+")
    voter_directory_id: bytes = uuid("0+")
    listeners: list[Listener] = array(Listener, "0+")
    ack_when_committed: bool = boolean("1+", default=True)


class AddRaftVoterResponse(Response, answers=AddRaftVoterRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", ignorable=True)
