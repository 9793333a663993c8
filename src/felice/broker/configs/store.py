"""All configurations of the cluster, and the two ways to change them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from felice.broker.configs.brokers import BrokerConfigs
from felice.broker.configs.changes import Change, Operation, changed
from felice.broker.configs.client_metrics import ClientMetricsConfigs
from felice.broker.configs.groups import GroupConfigs
from felice.broker.configs.loggers import LoggerConfigs
from felice.broker.configs.resource import Resource, ResourceType
from felice.broker.configs.topics import TopicConfigs
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["Configs"]


class Configs:
    """The configurations by type of resource; what is kept counts at once."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.brokers = BrokerConfigs(cluster, cluster.settings.texts)
        self.groups = GroupConfigs(cluster)
        self._resources: Mapping[int, Resource] = {
            ResourceType.TOPIC: TopicConfigs(cluster),
            ResourceType.BROKER: self.brokers,
            ResourceType.BROKER_LOGGER: LoggerConfigs(cluster),
            ResourceType.CLIENT_METRICS: ClientMetricsConfigs(cluster),
            ResourceType.GROUP: self.groups,
        }

    def of(self, kind: int) -> Resource:
        """Return the configurations of one type of resource, or refuse with INVALID_REQUEST."""
        found = self._resources.get(kind)
        if found is None:
            raise Refused(ErrorCode.INVALID_REQUEST, f"nothing is known of resource type {kind}")
        return found

    def apply(self) -> None:
        """Let changed configurations of brokers count."""
        cluster = self._cluster
        cluster.settings = self.brokers.common()
        cluster.own_settings = self.brokers.own()
        for topic in cluster.topics.values():
            cluster.configure_topic(topic, topic.settings.texts)

    def alter(
        self, kind: int, name: str, changes: Sequence[Change], node_id: int, *, validate_only: bool = False
    ) -> None:
        """Change some configurations of one resource, as asked of a node (KIP-339)."""
        for change in changes:
            if change.operation != Operation.DELETE and change.text is None:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{change.name} is set to null")
        if len({change.name for change in changes}) < len(changes):
            raise Refused(ErrorCode.INVALID_REQUEST, "a configuration is changed twice")
        resource = self.of(kind)
        name = resource.claim(name, node_id, described=False)
        resource.check_request([change.operation for change in changes])
        if isinstance(resource, LoggerConfigs):
            taken_back = [change.name for change in changes if change.operation == Operation.DELETE]
            resource.check_names(taken_back, [change.name for change in changes])
        known = resource.known if resource.lists_grow else {}
        texts = changed(known, resource.texts(name), resource.defaults(), changes)
        self._keep(resource, name, texts, validate_only)

    def replace(
        self,
        kind: int,
        name: str,
        texts: Iterable[tuple[str, str | None]],
        node_id: int,
        *,
        validate_only: bool = False,
    ) -> None:
        """Set these configurations of one resource and no others, as asked of a node (KIP-133)."""
        new: dict[str, str] = {}
        for key, text in texts:
            if text is None:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key} is set to null")
            if key in new:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key} is set twice")
            new[key] = text
        resource = self.of(kind)
        resource.check_request(None)
        self._keep(resource, resource.claim(name, node_id, described=False), new, validate_only)

    def _keep(self, resource: Resource, name: str, texts: Mapping[str, str], validate_only: bool) -> None:
        """Check, and keep unless that was all."""
        resource.check(name, texts)
        if not validate_only:
            resource.keep(name, texts)
