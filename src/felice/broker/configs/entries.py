"""A setting as clients are shown it: its value, its source, and what would stand without it (KIP-226)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from felice.broker.configs.inheritance import OLDER
from felice.broker.setting import Setting, Source

__all__ = ["Entry", "Layer", "Synonym", "synonyms"]


class Synonym(NamedTuple):
    """One place where a setting's value is, or would be, taken from; the text is None where it is secret."""

    name: str
    text: str | None
    source: Source


class Entry(NamedTuple):
    """A setting with the places its value comes from, the one that counts first."""

    setting: Setting
    text: str | None
    synonyms: tuple[Synonym, ...]
    read_only: bool = False
    default_source: Source = Source.DEFAULT

    @property
    def sensitive(self) -> bool:
        """Whether its value is not shown; loggers are of no known type, and no secret."""
        return self.setting.secret and self.default_source is Source.DEFAULT

    @property
    def source(self) -> Source:
        """Where the value comes from."""
        return self.synonyms[0].source if self.synonyms else self.default_source


class Layer(NamedTuple):
    """What is set at one place."""

    source: Source
    texts: Mapping[str, str]


def synonyms(setting: Setting, layers: Sequence[Layer], known: Mapping[str, Setting]) -> Iterable[Synonym]:
    """Give the places of a broker's setting, also those of the keys that stand for it.

    As in Kafka, nothing is given that comes before the first place of the setting itself.
    """
    found = False
    names = (setting.name, *OLDER.get(setting.name, ()))
    defaults = {name: default for name in names if name in known and (default := known[name].default) is not None}
    for source, texts in (*layers, Layer(Source.DEFAULT, defaults)):
        for name in names:
            found = found or (name == setting.name and name in texts)
            if found and name in texts:
                yield Synonym(name, None if setting.secret else texts[name], source)
