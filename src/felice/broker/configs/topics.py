"""Configurations of topics."""

from collections.abc import Iterable, Mapping, Sequence

from felice.broker.configs.entries import Entry, Layer, Synonym, synonyms
from felice.broker.configs.inheritance import topic_settings
from felice.broker.configs.resource import Resource
from felice.broker.refusal import Refused
from felice.broker.setting import Settings, Source, as_text
from felice.broker.setting_tables import BROKER_SETTINGS, TOPIC_SETTINGS
from felice.broker.topics import check_name
from felice.errors import ErrorCode

__all__ = ["TopicConfigs", "topic_entries"]


def topic_entries(settings: Settings, layers: Sequence[Layer]) -> Iterable[Entry]:
    """Describe a topic's settings as they stand over the layers of a broker's."""
    for setting in settings.known.values():
        found = []
        if setting.name in settings.texts:
            found.append(Synonym(setting.name, setting.written(settings.texts[setting.name]), Source.TOPIC))
        if setting.broker_name is not None:
            found += synonyms(BROKER_SETTINGS[setting.broker_name], layers, BROKER_SETTINGS)
        yield Entry(setting, as_text(settings[setting.name]), tuple(found))


class TopicConfigs(Resource):
    """Topics; what is set of them lies with them."""

    known = TOPIC_SETTINGS

    def names(self) -> Iterable[str]:
        """Give all topics."""
        return self.cluster.topics

    def claim(self, name: str, node_id: int, *, described: bool) -> str:
        """Refuse the name that no topic can have."""
        if not name and not described:
            raise Refused(ErrorCode.INVALID_REQUEST, "topics have no configurations that stand for all of them")
        return name

    def texts(self, name: str) -> Mapping[str, str]:
        """Return what is set of a topic."""
        topic = self.cluster.topics.get(name)
        return {} if topic is None else topic.settings.texts

    def defaults(self) -> Mapping[str, str]:
        """Return what is set of the broker in place of topics' own."""
        broker = self.cluster.settings.texts
        return {
            setting.name: broker[setting.broker_name]
            for setting in self.known.values()
            if setting.broker_name in broker
        }

    def check(self, name: str, texts: Mapping[str, str]) -> None:
        """Refuse wrong names, wrong values, and topics that there are not."""
        check_name(name)
        topic_settings(texts, self.cluster.settings)
        self.cluster.topic(name)

    def keep(self, name: str, texts: Mapping[str, str]) -> None:
        """Configure a topic anew."""
        self.cluster.configure_topic(self.cluster.topic(name), texts)

    def entries(self, name: str, node_id: int) -> Iterable[Entry]:
        """Describe a topic as it stands on a node."""
        check_name(name)
        topic = self.cluster.topic(name)
        return topic_entries(self.cluster.settings_of(topic, node_id), self.cluster.configs.brokers.layers(node_id))
