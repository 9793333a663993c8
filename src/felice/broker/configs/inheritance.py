"""What topics and groups take over from the broker's settings where they set nothing themselves."""

from collections.abc import Mapping
from typing import Final

from felice.broker.refusal import Refused
from felice.broker.setting import Setting, Settings, Value
from felice.broker.setting_tables import TOPIC_SETTINGS
from felice.errors import ErrorCode

__all__ = ["OLDER", "inherited", "topic_settings"]

OLDER: Final[Mapping[str, tuple[str, ...]]] = {
    "log.flush.interval.ms": ("log.flush.scheduler.interval.ms",),
    "log.retention.ms": ("log.retention.minutes", "log.retention.hours"),
    "log.roll.jitter.ms": ("log.roll.jitter.hours",),
    "log.roll.ms": ("log.roll.hours",),
}
"""Keys of brokers that others stand for where they are not set."""

MILLISECONDS = {"hours": 3_600_000, "minutes": 60_000, "ms": 1}


def topic_settings(texts: Mapping[str, str | None], broker: Settings) -> Settings:
    """Return the settings of a topic for which this is set; refuse what cannot be with INVALID_CONFIG."""
    settings = Settings(TOPIC_SETTINGS, texts, inherited(TOPIC_SETTINGS, broker))
    if texts:
        if settings.number("min.compaction.lag.ms") > settings.number("max.compaction.lag.ms"):
            raise Refused(ErrorCode.INVALID_CONFIG, "min.compaction.lag.ms is above max.compaction.lag.ms")
        if settings.flag("remote.storage.enable") and not broker.flag("remote.log.storage.system.enable"):
            raise Refused(ErrorCode.INVALID_CONFIG, "remote.storage.enable: this broker stores nothing remotely")
    return settings


def inherited(known: Mapping[str, Setting], broker: Settings) -> dict[str, Value]:
    """Return the values that stand instead of the keys' own defaults."""
    found: dict[str, Value] = {}
    for setting in known.values():
        if setting.broker_name is not None:
            for name in (setting.broker_name, *OLDER.get(setting.broker_name, ())):
                if name in broker.texts:
                    found[setting.name] = _value(name, broker[name])
                    break
    return found


def _value(name: str, value: Value) -> Value:
    """Return a broker's value in a topic's unit; every negative time to keep records means for ever."""
    if name.startswith(("log.retention.", "log.roll.")) and isinstance(value, int) and name != "log.retention.bytes":
        return -1 if value < 0 else value * MILLISECONDS[name.rpartition(".")[2]]
    return value
