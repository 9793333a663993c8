"""What every client can be told."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from felice.config.addresses import Address, Addresses, parse_addresses
from felice.config.option import option, validate
from felice.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ClientConfig:
    """Options of a connection to a cluster. Times are in seconds, sizes in bytes."""

    bootstrap_servers: Addresses = "localhost:9092"
    """Where to ask for the cluster first. Kafka: `bootstrap.servers`."""
    client_id: str = option("felice", kafka="client.id")
    """What the brokers' logs and quotas call this client."""
    request_timeout: float = option(30.0, kafka="request.timeout.ms", unit="seconds", low=0.001, high=2_000_000)
    """How long one request may take before its connection is given up; brokers are told, in 31 bits of milliseconds."""
    connect_timeout: float = option(10.0, kafka="socket.connection.setup.timeout.ms", unit="seconds", low=0.001)
    """How long making one connection may take: name resolution, TCP and ApiVersions together."""
    reconnect_backoff: float = option(0.05, kafka="reconnect.backoff.ms", unit="seconds", low=0)
    """The pause after a first failed connection; it doubles, with jitter."""
    reconnect_backoff_max: float = option(1.0, kafka="reconnect.backoff.max.ms", unit="seconds", low=0)
    """The longest pause between two connections to a broker."""
    retry_backoff: float = option(0.1, kafka="retry.backoff.ms", unit="seconds", low=0)
    """The pause before a request is tried again; it doubles, with jitter."""
    retry_backoff_max: float = option(1.0, kafka="retry.backoff.max.ms", unit="seconds", low=0)
    """The longest pause before a request is tried again."""
    metadata_max_age: float = option(300.0, kafka="metadata.max.age.ms", unit="seconds", low=0.01)
    """After this long the cluster's picture is renewed even where nothing failed."""
    connections_max_idle: float = option(540.0, kafka="connections.max.idle.ms", unit="seconds", low=0.01)
    """A connection without traffic for this long is closed, below the broker's own ten minutes."""
    max_frame_bytes: int = option(100 * 1024 * 1024, unit="bytes", low=1024, high=2**31 - 1)
    """The largest answer that is accepted; a larger one closes the connection."""
    allow_auto_create_topics: bool = option(False, kafka="allow.auto.create.topics")
    """Whether asking for an unknown topic may create it, where the broker allows that."""
    security: str = option("plaintext", kafka="security.protocol", choices=("plaintext",))
    """How connections are protected; plain text is all there is yet."""

    def __post_init__(self) -> None:
        """Validate every option, and keep the addresses in their parsed form."""
        object.__setattr__(self, "bootstrap_servers", parse_addresses(self.bootstrap_servers))
        validate(self)
        if not (isinstance(self.client_id, str) and self.client_id.isprintable()):
            raise ConfigError(f"client_id={self.client_id!r}", hint="give a printable string")
        if len(self.client_id.encode()) > 32767:
            raise ConfigError("client_id is too long", hint="at most 32767 bytes")

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The parsed `bootstrap_servers`."""
        servers: Iterable[object] = self.bootstrap_servers
        return tuple(server for server in servers if isinstance(server, Address))


class ClientOptions(TypedDict, total=False):
    """The options of `ClientConfig` as keyword arguments, but for the addresses."""

    client_id: str
    request_timeout: float
    connect_timeout: float
    reconnect_backoff: float
    reconnect_backoff_max: float
    retry_backoff: float
    retry_backoff_max: float
    metadata_max_age: float
    connections_max_idle: float
    max_frame_bytes: int
    allow_auto_create_topics: bool
    security: str
