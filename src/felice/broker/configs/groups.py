"""Configurations of groups, whether or not there is such a group (KIP-848, KIP-932, KIP-1071)."""

from collections.abc import Iterator, Mapping

from felice.broker.configs.entries import Entry, Synonym, synonyms
from felice.broker.configs.inheritance import inherited
from felice.broker.configs.resource import NamedResource
from felice.broker.refusal import Refused
from felice.broker.setting import Settings, Source, as_text
from felice.broker.setting_tables import BROKER_SETTINGS, GROUP_SETTINGS
from felice.errors import ErrorCode

__all__ = ["GroupConfigs"]


class GroupConfigs(NamedResource):
    """Groups by their IDs."""

    known = GROUP_SETTINGS

    def settings(self, group_id: str) -> Settings:
        """Return the settings that count for a group."""
        return self._settings(self.texts(group_id))

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Refuse the name that no group has."""
        if not name:
            raise Refused(ErrorCode.INVALID_REQUEST, "groups have no configurations that stand for all of them")
        return name

    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse what is outside the limits that the broker sets to groups."""
        settings, broker = self._settings(texts), self.cluster.settings
        for key in texts:
            kind, _, rest = key.partition(".")
            rest = rest.removeprefix("num.")
            least, most = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest}"
            if least in BROKER_SETTINGS and settings.number(key) < broker.number(least):
                raise Refused(ErrorCode.INVALID_CONFIG, f"{key} must be {least}={broker.number(least)} or more")
            if most in BROKER_SETTINGS and settings.number(key) > broker.number(most):
                raise Refused(ErrorCode.INVALID_CONFIG, f"{key} must be {most}={broker.number(most)} or less")
        for kind in ("consumer", "share", "streams"):
            session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
            if settings.number(session) <= settings.number(heartbeat):
                raise Refused(ErrorCode.INVALID_CONFIG, f"{session} must be above {heartbeat}")

    def entries(self, name: str, node_id: int) -> Iterator[Entry]:
        """Describe a group's settings over the broker's."""
        texts, settings = self.texts(name), self.settings(name)
        layers = self.cluster.configs.brokers.layers(node_id)
        for setting in GROUP_SETTINGS.values():
            places = []
            if setting.name in texts:
                places.append(Synonym(setting.name, as_text(settings[setting.name]), Source.GROUP))
            if setting.broker_name is not None:
                places += synonyms(BROKER_SETTINGS[setting.broker_name], layers, BROKER_SETTINGS)
            elif setting.default is not None:
                places.append(Synonym(setting.name, setting.default, Source.DEFAULT))
            yield Entry(setting, as_text(settings[setting.name]), tuple(places))

    def _settings(self, texts: Mapping[str, str]) -> Settings:
        """Return settings over the broker's."""
        return Settings(GROUP_SETTINGS, texts, inherited(GROUP_SETTINGS, self.cluster.settings))
