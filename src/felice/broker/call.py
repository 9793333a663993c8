"""One request on its way through a handler, and what handlers need to answer it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from felice.broker.authorization import CLUSTER_NAME, EVERY_BIT, REFUSALS, SUPPORTED, Operation, Resource
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

if TYPE_CHECKING:
    from felice.broker.confirmation import Judged
    from felice.broker.connection import Connection

__all__ = ["COORDINATED", "Call", "Handler", "no_partitions"]


COORDINATED: Final = {Kind.GROUP: Resource.GROUP, Kind.TRANSACTION: Resource.TRANSACTIONAL_ID}
"""What access control entries call that which is coordinated."""

R = TypeVar("R", bound=Response)


class Call:
    """A request to a node, and the faults that hit it."""

    __slots__ = (
        "api", "client_host", "client_id", "cluster", "connection", "faults", "guard", "header", "loop", "node",
        "request", "version",
    )  # fmt: skip

    def __init__(
        self,
        cluster: Cluster,
        node: Node,
        header: RequestHeader,
        request: Request[Any],
        loop: asyncio.AbstractEventLoop,
        client_host: str = "",
        connection: "Connection | None" = None,
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
        self.connection = connection
        """What it came through, where a session has to end with that."""
        self.faults: tuple[Fault, ...] = ()
        self.guard = cluster.authorizer
        """Says whether it may be done what is asked, or None where everything may."""

    def error(self, operation: Operation | None = None, *, whole: bool = False) -> ErrorCode:
        """Return the code to answer all of the request with, by order of a fault, or NONE.

        With an operation, it is also the code for a client that may not do that with the cluster. Where an answer is
        right or wrong as a `whole`, as it has no codes of topics, so it is for a fault that is aimed at one of them.
        """
        for fault in self.faults:
            aimed = fault.target.topic is not None or fault.target.partition is not None
            if fault.action is Action.ERROR and (whole or not aimed):
                return ErrorCode(fault.details["code"])
        if operation is None or self.may(operation, Resource.CLUSTER):
            return ErrorCode.NONE
        return REFUSALS[Resource.CLUSTER]

    def check_faults(self, topic: str | None, partition: int | None = None) -> None:
        """Refuse what a fault says is to be refused."""
        for fault in self.faults:
            if fault.action is Action.ERROR and fault.target.covers(topic, partition):
                raise Refused(fault.details["code"])

    def led_partition(
        self, topic: str, index: int, operation: Operation | None = None, leader_epoch: int = -1
    ) -> Partition:
        """Return a partition that this node leads, or refuse, also where the client may not do what it wants there."""
        if self.faults:
            self.check_faults(topic, index)
        if self.guard is not None and operation is not None:
            self.authorize(operation, Resource.TOPIC, topic)
        partition = self.cluster.partition(topic, index)
        partition.check_leader(self.node.id, leader_epoch)
        return partition

    def check_coordinator(self, kind: Kind, key: str, operation: Operation | None = None) -> None:
        """Refuse what is for another coordinator than this node, or what a fault says is to be refused.

        With an operation, refuse also whom the group or the transactional ID is not for.
        """
        if self.faults:
            self.check_faults(None)
        if self.guard is not None and operation is not None:
            self.authorize(operation, COORDINATED[kind], key)
        self.cluster.coordination.check(kind, key, self.node.id)

    def when_written(
        self, kind: Kind, key: str, response: R, refused: Callable[[ErrorCode], R]
    ) -> "R | asyncio.Future[Any]":
        """Return a coordinator's answer, as soon as all replicas in sync have what is written of groups or the like.

        While one of them lags that is a future. It gives another answer, by the code with which it is `refused`, where
        they do not have it in time, or another node coordinates meanwhile.
        """
        home = self.cluster.coordination.partition(kind, key)
        if home.high_watermark >= home.log.end_offset:
            return response
        from felice.broker.confirmation import Outcome

        outcome = Outcome()
        return self.when_each_is_written(
            kind, {key: outcome}, lambda: refused(ErrorCode(outcome.error_code)) if outcome.error_code else response
        )

    def when_each_is_written(
        self, kind: Kind, parts: Mapping[str, "Judged"], finish: Callable[[], R]
    ) -> "R | asyncio.Future[Any]":
        """Do as `when_written` for several groups or the like, each with the part of the answer that gets its code."""
        from felice.broker.confirmation import COORDINATORS, Confirmation, Unconfirmed

        homes = {key: self.cluster.coordination.partition(kind, key) for key in parts}
        waiting = [
            Unconfirmed(home, home.log.end_offset, parts[key])
            for key, home in homes.items()
            if home.high_watermark < home.log.end_offset
        ]
        if not waiting:
            return finish()

        def confirmed() -> R:
            for one in waiting:
                one.result.error_code = COORDINATORS[ErrorCode(one.result.error_code)]
            return finish()

        seconds = max(self._patience(kind, key) for key in parts) / 1000
        call_later = self.cluster.clock.call_later
        return Confirmation(self.loop, self.node.id, waiting, seconds, confirmed, call_later=call_later).future

    def _patience(self, kind: Kind, key: str) -> int:
        """Return how long a coordinator waits for replicas to have what it wrote, in milliseconds."""
        transaction = self.cluster.transactions.find(key) if kind is Kind.TRANSACTION else None
        return (
            self.cluster.settings.number("offsets.commit.timeout.ms") if transaction is None else transaction.timeout_ms
        )

    def may(self, operation: Operation, kind: Resource, name: str = CLUSTER_NAME) -> bool:
        """Tell whether the client may do something with a resource."""
        return self.guard is None or self.guard.allows(self.client_host, operation, kind, name)

    def authorize(self, operation: Operation, kind: Resource, name: str = CLUSTER_NAME) -> None:
        """Refuse what the client may not do, with the code for that kind of resource."""
        if self.guard is not None and not self.guard.allows(self.client_host, operation, kind, name):
            raise Refused(REFUSALS[kind], f"the {kind.name} {name!r} is not for this client to {operation.name}")

    def authorize_creation(self, topic: str) -> None:
        """Refuse a topic that the client may create neither by its name nor as anything in the cluster."""
        if not self.may(Operation.CREATE, Resource.CLUSTER):
            self.authorize(Operation.CREATE, Resource.TOPIC, topic)

    def permitted(self, kind: Resource, name: str = CLUSTER_NAME) -> int:
        """Return what the client may do with a resource, as bits by Kafka's numbers of operations (KIP-430)."""
        if self.guard is None:
            return EVERY_BIT[kind]
        return sum(1 << operation for operation in SUPPORTED[kind] if self.may(operation, kind, name))


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
