"""Levels of brokers' loggers (KIP-412): kept and described by Kafka's names; this broker logs as Python is told to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from felice.broker.configs.changes import Operation
from felice.broker.configs.entries import Entry
from felice.broker.configs.resource import Resource
from felice.broker.refusal import Refused
from felice.broker.setting import Kind, Setting, Source
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["LoggerConfigs"]

ROOT: Final = "root"
DEFAULT_LEVEL: Final = "INFO"
LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF")

LOGGERS: Final = (
    "kafka", "kafka.cluster.Partition", "kafka.coordinator.transaction.TransactionCoordinator",
    "kafka.coordinator.transaction.TransactionStateManager", "kafka.log.LogCleaner", "kafka.log.LogManager",
    "kafka.network.Processor", "kafka.network.RequestChannel$", "kafka.network.SocketServer", "kafka.request.logger",
    "kafka.server.BrokerServer", "kafka.server.ControllerServer", "kafka.server.KafkaApis",
    "kafka.server.ReplicaManager", "org.apache.kafka", "org.apache.kafka.clients.NetworkClient",
    "org.apache.kafka.controller.QuorumController", "org.apache.kafka.coordinator.group.GroupCoordinatorService",
    ROOT, "state.change.logger",
)  # fmt: skip


class LoggerConfigs(Resource):
    """Loggers of each node, by the node's ID."""

    def __init__(self, cluster: "Cluster") -> None:
        super().__init__(cluster)
        self._texts: dict[str, dict[str, str]] = {}

    def names(self) -> Iterable[str]:
        """Give the brokers that are up."""
        return (str(node.id) for node in self.cluster.alive)

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Refuse other brokers than the one that is asked."""
        if name != str(node_id):
            raise Refused(ErrorCode.INVALID_REQUEST, f"this is broker {node_id}, not {name!r}")
        return name

    def check_request(self, operations: Iterable[int] | None) -> None:
        """Refuse all but setting and taking back."""
        if operations is None:
            raise Refused(ErrorCode.INVALID_REQUEST, "loggers are changed by incremental changes only")
        if set(operations) - {Operation.SET, Operation.DELETE}:
            raise Refused(ErrorCode.INVALID_REQUEST, "levels of loggers are no lists")

    def check_names(self, taken_back: Iterable[str], names: Iterable[str]) -> None:
        """Refuse loggers that there are not, and to take the root's level away."""
        strange = [name for name in names if name not in LOGGERS]
        if strange:
            raise Refused(ErrorCode.INVALID_CONFIG, f"there is no logger {strange[0]!r}")
        if ROOT in taken_back:
            raise Refused(ErrorCode.INVALID_REQUEST, "the root logger always has a level")

    def texts(self, name: str) -> Mapping[str, str]:
        """Return the levels that were set on a node."""
        return self._texts.get(name, {})

    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse levels that there are not."""
        for logger, level in texts.items():
            if level not in LEVELS:
                raise Refused(ErrorCode.INVALID_CONFIG, f"{logger}={level!r}: a level is one of {', '.join(LEVELS)}")

    def keep(self, name: str, texts: Mapping[str, str]) -> None:
        """Set levels."""
        self._texts[name] = dict(texts)

    def entries(self, name: str, node_id: int) -> Iterator[Entry]:
        """Describe all loggers."""
        levels = self._texts.get(name, {})
        for logger in LOGGERS:
            level = levels.get(logger, levels.get(ROOT, DEFAULT_LEVEL))
            yield Entry(Setting(logger, Kind.UNKNOWN, None, ""), level, (), default_source=Source.BROKER_LOGGER)
