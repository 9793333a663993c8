"""Subscriptions to clients' metrics (KIP-714): kept and described; clients hear of none, as nobody collects them."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from felice.broker.configs.entries import Entry, Synonym
from felice.broker.configs.resource import NamedResource
from felice.broker.refusal import Refused
from felice.broker.setting import Settings, Source, as_text
from felice.broker.setting_tables import CLIENT_METRICS_SETTINGS
from felice.errors import ErrorCode

__all__ = ["ClientMetricsConfigs"]

INTERVAL: Final = "interval.ms"

PROPERTIES: Final = frozenset({
    "client_instance_id", "client_id", "client_software_name", "client_software_version", "client_source_address",
    "client_source_port",
})  # fmt: skip
"""What clients can be told apart by."""


class ClientMetricsConfigs(NamedResource):
    """Subscriptions by their names."""

    known = CLIENT_METRICS_SETTINGS
    lists_grow = False

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Refuse the name that no subscription has."""
        if not name:
            raise Refused(ErrorCode.INVALID_REQUEST, "a subscription to clients' metrics needs a name")
        return name

    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse keys that there are not, and values that cannot be."""
        for key, text in texts.items():
            if key not in CLIENT_METRICS_SETTINGS:
                raise Refused(ErrorCode.INVALID_REQUEST, f"there is no configuration {key!r} of client metrics")
            if key == INTERVAL and _is_whole(text):
                try:
                    CLIENT_METRICS_SETTINGS[key].parse(text)
                except Refused as refused:
                    raise Refused(ErrorCode.INVALID_REQUEST, refused.message) from None
        for match in Settings(CLIENT_METRICS_SETTINGS, texts).parts("match"):
            _check_match(match)

    def entries(self, name: str, node_id: int) -> Iterator[Entry]:
        """Describe a subscription."""
        texts = self.texts(name)
        settings = Settings(CLIENT_METRICS_SETTINGS, texts)
        for setting in CLIENT_METRICS_SETTINGS.values():
            text = as_text(settings[setting.name])
            places = (Synonym(setting.name, text, Source.CLIENT_METRICS),) if setting.name in texts else ()
            yield Entry(setting, text, places)


def _is_whole(text: str) -> bool:
    """Tell whether a text is a whole number: only then is it too small or too large."""
    return re.fullmatch(r"\s*[+-]?\d+\s*", text) is not None


def _check_match(match: str) -> None:
    """Refuse a pair of a property and a regular expression that cannot be."""
    name, equals, pattern = (part.strip() for part in match.partition("="))
    if not equals or name not in PROPERTIES:
        raise Refused(
            ErrorCode.INVALID_CONFIG, f"match={match!r}: write PROPERTY=PATTERN with one of {sorted(PROPERTIES)}"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise Refused(ErrorCode.INVALID_CONFIG, f"match={match!r}: {error}") from None
