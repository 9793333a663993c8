"""The settings of a topic or a broker as clients are shown them: value, source, and what would stand without it."""

from collections.abc import Iterator
from typing import NamedTuple

from felice.broker.setting import Setting, Settings, Source

__all__ = ["Entry", "Synonym", "broker_entries", "topic_entries"]


class Synonym(NamedTuple):
    """One place where a setting's value is, or would be, taken from."""

    name: str
    text: str
    source: Source


class Entry(NamedTuple):
    """A setting with the places its value comes from, the one that counts first."""

    setting: Setting
    synonyms: tuple[Synonym, ...]

    @property
    def text(self) -> str | None:
        """The value."""
        return self.synonyms[0].text if self.synonyms else self.setting.default

    @property
    def source(self) -> Source:
        """Where the value comes from."""
        return self.synonyms[0].source if self.synonyms else Source.DEFAULT


def broker_entries(settings: Settings) -> Iterator[Entry]:
    """Give every setting of a broker."""
    for setting in settings.known.values():
        yield Entry(setting, tuple(_broker_synonyms(settings, setting.name)))


def topic_entries(settings: Settings, broker: Settings) -> Iterator[Entry]:
    """Give every setting of a topic, as it stands over the broker's."""
    for setting in settings.known.values():
        synonyms = []
        if setting.name in settings.texts:
            synonyms.append(Synonym(setting.name, settings.texts[setting.name], Source.TOPIC))
        if setting.broker_name is not None:
            synonyms += _broker_synonyms(broker, setting.broker_name)
        yield Entry(setting, tuple(synonyms))


def _broker_synonyms(settings: Settings, name: str) -> Iterator[Synonym]:
    """Give the places of a broker's setting."""
    if name in settings.texts:
        yield Synonym(name, settings.texts[name], Source.STATIC_BROKER)
    default = settings.known[name].default
    if default is not None:
        yield Synonym(name, default, Source.DEFAULT)
