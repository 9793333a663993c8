"""One configuration key of Kafka's: its type, its default, and what it may hold."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TypeAlias

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Kind", "Mode", "Setting", "Settings", "Source", "Value", "as_text"]

Value: TypeAlias = bool | int | float | str | tuple[str, ...]


class Kind(IntEnum):
    """Types of configuration values, by their numbers on the wire (KIP-569)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Source(IntEnum):
    """Where a configuration value comes from, by its number on the wire (KIP-226, KIP-714, KIP-848)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5
    BROKER_LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


class Mode(Enum):
    """Whether a broker's key can change while it runs, for each broker by itself or also for all (KIP-226)."""

    FIXED = "fixed"
    BROKER = "broker"
    CLUSTER = "cluster"


def as_text(value: Value) -> str:
    """Return a value as Kafka writes it."""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


BITS = {Kind.SHORT: 15, Kind.INT: 31, Kind.LONG: 63}


@dataclass(frozen=True, slots=True)
class Setting:
    """A key, with its value where nobody sets it, as text."""

    name: str
    kind: Kind
    default: str | None
    """None where it is unset, and something else decides."""
    about: str
    broker_name: str | None = None
    """For a setting of a topic or a group: the broker's setting that gives its default."""
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Texts that are right besides what the range allows, or, for a list, what its parts may be."""
    shape: str | None = None
    """A regular expression that texts, or each part of a list, must match."""
    folded: bool = False
    """Whether `one_of` is meant in upper and lower case."""
    mode: Mode = Mode.CLUSTER

    @property
    def secret(self) -> bool:
        """Whether its value is never shown; of keys that nobody knows it is not known, so they are secret too."""
        return self.kind in (Kind.PASSWORD, Kind.UNKNOWN)

    def parse(self, text: str) -> Value:
        """Return the value that `text` stands for; refuse what does not fit with INVALID_CONFIG."""
        text = text.strip()
        match self.kind:
            case Kind.BOOLEAN:
                if text.lower() not in ("true", "false"):
                    raise self._wrong(text, "true or false")
                return text.lower() == "true"
            case Kind.SHORT | Kind.INT | Kind.LONG:
                return self._whole(text)
            case Kind.DOUBLE:
                try:
                    return self._within(float(text), text)
                except ValueError:
                    raise self._wrong(text, "a number") from None
            case Kind.LIST:
                if not text or text in self.also:
                    return (text,) if text else ()
                return tuple(dict.fromkeys(self._choice(part.strip()) for part in text.split(",")))
            case _:
                return self._choice(text)

    def written(self, text: str) -> str:
        """Return a right text as Kafka writes the value it stands for."""
        return as_text(self.parse(text))

    def _whole(self, text: str) -> int:
        """Return a whole number of the kind's size."""
        bound = 1 << BITS[self.kind]
        try:
            number = int(text)
        except ValueError:
            number = bound
        if not -bound <= number < bound:
            raise self._wrong(text, f"a whole number of {BITS[self.kind] + 1} bits")
        self._within(number, text)
        return number

    def _within(self, number: float, text: str) -> float:
        """Return a number that is in range."""
        low, high = self.low, self.high
        if text not in self.also and ((low is not None and number < low) or (high is not None and number > high)):
            least = "" if low is None else f"at least {low:.15g}"
            most = "" if high is None else f"at most {high:.15g}"
            raise self._wrong(text, " and ".join(filter(None, (least, most))))
        return number

    def _choice(self, text: str) -> str:
        """Return a text that is one of the right ones, if they are listed."""
        if self.one_of and (text.lower() if self.folded else text) not in self.one_of:
            raise self._wrong(text, f"one of {', '.join(self.one_of)}")
        if self.shape is not None and not re.fullmatch(self.shape, text):
            raise self._wrong(text, f"of the form {self.shape}")
        return text

    def _wrong(self, text: str, wanted: str) -> Refused:
        """Return the refusal of a value."""
        return Refused(ErrorCode.INVALID_CONFIG, f"{self.name}={text!r}: it must be {wanted}")


class Settings:
    """What is set of some keys, over the defaults: texts as they came, and the values they stand for."""

    __slots__ = ("_values", "known", "texts")

    def __init__(
        self,
        known: Mapping[str, Setting],
        texts: Mapping[str, str | None],
        inherited: Mapping[str, Value] | None = None,
    ) -> None:
        """Take what is set; refuse unknown keys and wrong values with INVALID_CONFIG.

        `inherited` are values that stand instead of the defaults where a key is not set.
        """
        self.known = known
        self.texts: dict[str, str] = {}
        self._values: dict[str, Value] = dict(inherited or {})
        for name, text in texts.items():
            setting = known.get(name)
            if setting is None:
                raise Refused(ErrorCode.INVALID_CONFIG, f"there is no configuration {name!r}")
            if text is None:
                raise Refused(ErrorCode.INVALID_CONFIG, f"{name} is set to null")
            self._values[name] = setting.parse(text)
            self.texts[name] = text

    def __getitem__(self, name: str) -> Value:
        """Return the value of a key."""
        if name not in self._values:
            setting = self.known[name]
            self._values[name] = setting.parse(setting.default or "")
        return self._values[name]

    def number(self, name: str) -> int:
        """Return the value of a key that holds a whole number."""
        value = self[name]
        assert isinstance(value, int), name
        return value

    def ratio(self, name: str) -> float:
        """Return the value of a key that holds a number with a fraction."""
        value = self[name]
        assert isinstance(value, float), name
        return value

    def flag(self, name: str) -> bool:
        """Return the value of a key that is true or false."""
        return self[name] is True

    def parts(self, name: str) -> tuple[str, ...]:
        """Return the value of a key that holds a list."""
        value = self[name]
        assert isinstance(value, tuple), name
        return value

    @staticmethod
    def table(settings: Iterable[Setting]) -> Mapping[str, Setting]:
        """Return settings by name, in the order of the names."""
        return {setting.name: setting for setting in sorted(settings, key=lambda setting: setting.name)}
