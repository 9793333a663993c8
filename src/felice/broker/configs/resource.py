"""What all types of resources that have configurations share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from felice.broker import authorization
from felice.broker.configs.entries import Entry
from felice.broker.setting import Setting

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["NamedResource", "Resource", "ResourceType", "guarded"]


class ResourceType(IntEnum):
    """Types of resources, by their numbers on the wire."""

    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


def guarded(kind: int, name: str) -> tuple[authorization.Resource, str]:
    """Return what access control entries speak of where a resource is configured: that itself, or the cluster."""
    if kind == ResourceType.TOPIC:
        return authorization.Resource.TOPIC, name
    if kind == ResourceType.GROUP:
        return authorization.Resource.GROUP, name
    return authorization.Resource.CLUSTER, authorization.CLUSTER_NAME


class Resource(ABC):
    """One type of resource: what may be set of it, what is set, and how it is described."""

    known: Mapping[str, Setting] = {}
    lists_grow: bool = True
    """Whether parts can be added to its lists and taken away."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster

    @abstractmethod
    def names(self) -> Iterable[str]:
        """Give the resources of this type that there are."""

    @abstractmethod
    def texts(self, name: str) -> Mapping[str, str]:
        """Return what is set of one resource."""

    @abstractmethod
    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse to have these texts set."""

    @abstractmethod
    def keep(self, name: str, texts: Mapping[str, str]) -> None:
        """Set these texts, which were checked, and nothing else."""

    @abstractmethod
    def entries(self, name: str, node_id: int) -> Iterable[Entry]:
        """Describe one resource as it stands on a node; refuse where it cannot be described."""

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Return the resource's name as it is kept; refuse one that is not for this node to change or describe."""
        return name

    def check_request(self, operations: Iterable[int] | None) -> None:  # noqa: B027 - most take all
        """Refuse a kind of request: these operations, or (None) other texts in place of all that are set."""

    def defaults(self) -> Mapping[str, str]:
        """Return what stands where nothing is set, besides the keys' own defaults."""
        return {}


class NamedResource(Resource):
    """A type of resource that is there by having something set, under any name."""

    def __init__(self, cluster: "Cluster") -> None:
        super().__init__(cluster)
        self._texts: dict[str, dict[str, str]] = {}

    def names(self) -> Iterable[str]:
        """Give those of which something is set."""
        return self._texts

    def texts(self, name: str) -> Mapping[str, str]:
        """Return what is set of one."""
        return self._texts.get(name, {})

    def keep(self, name: str, texts: Mapping[str, str]) -> None:
        """Set these texts; one of which nothing is set is forgotten."""
        if texts:
            self._texts[name] = dict(texts)
        else:
            self._texts.pop(name, None)
