"""Configurations of brokers: from their start, for all of them (KIP-226), and for each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from felice.broker.configs.entries import Entry, Layer, Synonym, synonyms
from felice.broker.configs.resource import Resource
from felice.broker.refusal import Refused
from felice.broker.setting import Kind, Mode, Setting, Settings, Source
from felice.broker.setting_tables import BROKER_SETTINGS
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["EVERYWHERE", "BrokerConfigs"]

EVERYWHERE: Final = ""
"""The name that stands for all brokers."""

MIN_IN_SYNC: Final = "min.insync.replicas"

THREADS: Final = frozenset({
    "background.threads", "num.io.threads", "num.network.threads", "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
})  # fmt: skip
"""Numbers that can at most double, and at least halve, at a time."""

RATES: Final = frozenset({
    "follower.replication.throttled.rate", "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
})  # fmt: skip
"""What brokers are told for a while only, and is described while it is set."""

AUTHORIZERS: Final = frozenset({"allow.everyone.if.no.acl.found", "super.users"})
"""What belongs to the authorizer, and is described where it is set."""

SECRETS_OF_LISTENERS: Final = tuple(
    f"ssl.{name}"
    for name in (
        "key.password", "keystore.certificate.chain", "keystore.key", "keystore.location", "keystore.password",
        "keystore.type", "truststore.certificates", "truststore.location", "truststore.password", "truststore.type",
    )
)  # fmt: skip
"""What can change for one listener only, by its name before the key."""

LEAST: Final = {"log.retention.ms": 1, "log.roll.jitter.ms": 0, "log.roll.ms": 1}
"""Limits that only a running broker has; every negative time to keep records means for ever."""

UNCHANGED: Final = frozenset({"listener.security.protocol.map", "listeners", "metric.reporters"})
"""What Kafka could change and this broker cannot."""


class BrokerConfigs(Resource):
    """Brokers; each describes and changes itself only, and what is set for all."""

    known = BROKER_SETTINGS

    def __init__(self, cluster: "Cluster", static: Mapping[str, str]) -> None:
        super().__init__(cluster)
        self._static = dict(static)
        # Kafka keeps this one for all brokers from the start, since who may lead depends on it (KIP-966).
        least = self._static.get(MIN_IN_SYNC, BROKER_SETTINGS[MIN_IN_SYNC].default or "1")
        self._everywhere = {MIN_IN_SYNC: least}
        self._own: dict[int, dict[str, str]] = {}

    def common(self) -> Settings:
        """Return the settings that all brokers have together."""
        return _settings(self._static | self._everywhere)

    def own(self) -> dict[int, Settings]:
        """Return the settings of the nodes that have some of their own."""
        return {node_id: _settings(self._static | self._everywhere | own) for node_id, own in self._own.items()}

    def layers(self, node_id: int) -> list[Layer]:
        """Return what is set of a node, what counts first in front."""
        node = self.cluster.nodes[node_id]
        facts = {
            "advertised.listeners": f"PLAINTEXT://{node.host}:{node.port}",
            "broker.id": str(node_id),
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{node.host}:{node.port}",
            "log.dirs": node.log_dir,
            "node.id": str(node_id),
            "process.roles": "broker,controller",
        }
        if node.rack is not None:
            facts["broker.rack"] = node.rack
        return [
            Layer(Source.DYNAMIC_BROKER, self._own.get(node_id, {})),
            Layer(Source.DYNAMIC_DEFAULT_BROKER, self._everywhere),
            Layer(Source.STATIC_BROKER, self._static | facts),
        ]

    def names(self) -> Iterable[str]:
        """Give the brokers that are up."""
        return (str(node.id) for node in self.cluster.alive)

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Refuse other brokers than the one that is asked."""
        if name == EVERYWHERE:
            return name
        try:
            asked = int(name) if name.strip() == name else -1
        except ValueError:
            asked = -1
        if asked != node_id:
            raise Refused(ErrorCode.INVALID_REQUEST, f"this is broker {node_id}, not {name!r}")
        return str(asked)

    def texts(self, name: str) -> Mapping[str, str]:
        """Return what is set for one broker, or for all."""
        return self._everywhere if name == EVERYWHERE else self._own.get(int(name), {})

    def defaults(self) -> Mapping[str, str]:
        """Return what was set at the start."""
        return self._static

    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse what cannot change now, or cannot be so; Kafka calls almost all of it INVALID_REQUEST."""
        for key, text in texts.items():
            if key in SECRETS_OF_LISTENERS:
                raise Refused(
                    ErrorCode.INVALID_REQUEST, f"{key} can be set for a listener only: listener.name.NAME.{key}"
                )
            setting = self._setting(key)
            if setting.kind is Kind.UNKNOWN:
                continue  # something that is plugged in may know it
            if setting.mode is Mode.FIXED:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key} cannot change while the broker runs")
            if setting.mode is Mode.BROKER and name == EVERYWHERE:
                raise Refused(ErrorCode.INVALID_REQUEST, f"{key} is set for each broker by itself")
            try:
                setting.parse(text)
            except Refused as refused:
                raise Refused(ErrorCode.INVALID_REQUEST, refused.message) from None
        wrong = self._wrong(_settings(self._static | self._everywhere | dict(texts)), texts)
        if wrong:
            raise Refused(ErrorCode.INVALID_REQUEST, wrong)
        if name == EVERYWHERE and MIN_IN_SYNC not in texts:
            raise Refused(ErrorCode.INVALID_CONFIG, f"{MIN_IN_SYNC} must be set for all brokers (KIP-966)")
        if name != EVERYWHERE and MIN_IN_SYNC in texts:
            raise Refused(ErrorCode.INVALID_CONFIG, f"{MIN_IN_SYNC} is set for all brokers together (KIP-966)")

    def keep(self, name: str, texts: Mapping[str, str]) -> None:
        """Set it, and let it count at once."""
        if name == EVERYWHERE:
            self._everywhere = dict(texts)
        elif texts:
            self._own[int(name)] = dict(texts)
        else:
            self._own.pop(int(name), None)
        self.cluster.configs.apply()

    def entries(self, name: str, node_id: int) -> Iterator[Entry]:
        """Describe a broker, or what is set for all."""
        if name == EVERYWHERE:
            for key, text in self._everywhere.items():
                setting = self._setting(key)
                shown = None if setting.secret else text
                place = Synonym(key, shown, Source.DYNAMIC_DEFAULT_BROKER)
                yield Entry(setting, shown, (place,), read_only=_read_only(setting))
            return
        layers = self.layers(node_id)
        given = {key for layer in layers for key in layer.texts}
        for key in (*BROKER_SETTINGS, *sorted(given - BROKER_SETTINGS.keys())):
            if key in RATES | AUTHORIZERS and key not in given:
                continue
            setting = self._setting(key)
            places = tuple(synonyms(setting, layers, BROKER_SETTINGS))
            yield Entry(setting, places[0].text if places else setting.default, places, read_only=_read_only(setting))

    def _setting(self, key: str) -> Setting:
        """Return what is known of a key, which may be a listener's, or one that nobody here knows."""
        found = BROKER_SETTINGS.get(key)
        if found is not None:
            return found
        *_, base = key.split(".", 3) if key.startswith("listener.name.") else (key,)
        known = BROKER_SETTINGS.get(base)
        kind = Kind.UNKNOWN if known is None else known.kind
        about = "A key that this broker does not know." if known is None else known.about
        return Setting(key, kind, None, about, mode=Mode.BROKER)

    def _wrong(self, settings: Settings, texts: Mapping[str, str]) -> str:
        """Return what does not go together."""
        for key in texts:
            setting = BROKER_SETTINGS.get(key)
            if key in UNCHANGED or (setting is not None and setting.kind is Kind.CLASS):
                return f"{key} cannot change in this broker"
            if key in THREADS:
                now = self.cluster.settings.number(key)
                if not now // 2 <= settings.number(key) <= 2 * now:
                    return f"{key} is {now}: it can halve or double at a time"
        for key, least in LEAST.items():
            if key in texts and settings.number(key) < least and not (key == "log.retention.ms" and settings[key] != 0):
                return f"{key} must be {least} or more"
        buffer, threads = settings.number("log.cleaner.dedupe.buffer.size"), settings.number("log.cleaner.threads")
        if buffer < threads << 20:
            return "log.cleaner.dedupe.buffer.size must be 1 MiB or more for each of log.cleaner.threads"
        if settings.number("max.connections.per.ip") == 0 and not settings["max.connections.per.ip.overrides"]:
            return "max.connections.per.ip=0 lets nobody in without max.connections.per.ip.overrides"
        if texts.get("cordoned.log.dirs") and not self._has_directories(settings["cordoned.log.dirs"]):
            return "cordoned.log.dirs names a directory that is not in log.dirs"
        return ""

    def _has_directories(self, names: object) -> bool:
        """Tell whether these are all directories of a node."""
        return isinstance(names, tuple) and set(names) <= {node.log_dir for node in self.cluster.nodes.values()}


def _settings(texts: Mapping[str, str]) -> Settings:
    """Return the settings that texts stand for, without those that only plugged-in code would know."""
    return Settings(BROKER_SETTINGS, {key: text for key, text in texts.items() if key in BROKER_SETTINGS})


def _read_only(setting: Setting) -> bool:
    """Tell whether clients are told that it cannot change; so are they of all that is not a broker's own key."""
    return setting.mode is Mode.FIXED or setting.name not in BROKER_SETTINGS
