"""One request on its way through a handler, and what handlers need to answer it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from felice.broker.cluster import Cluster
from felice.broker.coordination import Kind
from felice.broker.faults import Action, Fault
from felice.broker.node import Node
from felice.broker.partition import Partition
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.frames import RequestHeader
from felice.wire.messages.registry import API_NAMES
from felice.wire.schema import Request, Response

__all__ = ["Call", "Handler", "no_partitions"]


class Call:
    """A request to a node, and the faults that hit it."""

    __slots__ = ("api", "client_host", "client_id", "cluster", "faults", "header", "loop", "node", "request", "version")

    def __init__(
        self,
        cluster: Cluster,
        node: Node,
        header: RequestHeader,
        request: Request[Any],
        loop: asyncio.AbstractEventLoop,
        client_host: str = "",
    ) -> None:
        self.cluster = cluster
        self.node = node
        self.header = header
        self.version = header.api_version
        self.client_id = header.client_id
        self.api = API_NAMES[header.api_key]
        self.request = request
        self.loop = loop
        self.client_host = client_host
        """The client's address, without its port."""
        self.faults: tuple[Fault, ...] = ()

    def error(self) -> ErrorCode:
        """Return the code to answer all of the request with, by order of a fault, or NONE."""
        for fault in self.faults:
            if fault.action is Action.ERROR and fault.target.topic is None and fault.target.partition is None:
                return ErrorCode(fault.details["code"])
        return ErrorCode.NONE

    def check_faults(self, topic: str | None, partition: int | None = None) -> None:
        """Refuse what a fault says is to be refused."""
        for fault in self.faults:
            if fault.action is Action.ERROR and fault.target.covers(topic, partition):
                raise Refused(fault.details["code"])

    def led_partition(self, topic: str, index: int, leader_epoch: int = -1) -> Partition:
        """Return a partition that this node leads, or refuse."""
        if self.faults:
            self.check_faults(topic, index)
        partition = self.cluster.partition(topic, index)
        partition.check_leader(self.node.id, leader_epoch)
        return partition

    def check_coordinator(self, kind: Kind, key: str) -> None:
        """Refuse what is for another coordinator than this node, or what a fault says is to be refused."""
        if self.faults:
            self.check_faults(None)
        self.cluster.coordination.check(kind, key, self.node.id)


Handle: TypeAlias = Callable[[Call, Any], "Response | asyncio.Future[Any] | None"]
"""Answers a request now, or with a future, or (`acks=0`) not at all."""

Partitions: TypeAlias = Callable[[Call, Any], Iterable[tuple[str, int]]]
"""Gives the topics and partitions that a request names, for faults that target them."""


class Handler(NamedTuple):
    """How one API is answered."""

    handle: Handle
    partitions: Partitions


def no_partitions(call: Call, request: Any) -> Iterable[tuple[str, int]]:
    """Serve as `partitions` of an API that names none."""
    return ()
