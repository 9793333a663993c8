"""Questions about DescribeConfigs."""

from typing import Any

from asking import Asker, comparable
from felice.wire.messages.describe_configs import DescribeConfigsRequest
from questions.asked import question


def describe(
    asker: Asker, kind: int, name: str, keys: list[str] | None = None, version: int = 4, **options: bool
) -> Any:
    """Describe one resource."""
    asked = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=keys
    )
    answer = asker.ask(DescribeConfigsRequest(resources=[asked], **options), version)
    for result in answer.results:
        result.configs.sort(key=lambda config: str(config.name))
    return comparable(answer)


@question
def describe_topics_in_all_versions(asker: Asker) -> Any:
    """Some configurations of a topic, with what would stand without them."""
    name = asker.topic(retention_ms=1000, max_message_bytes=5000)
    keys = ["retention.ms", "max.message.bytes", "cleanup.policy", "segment.bytes", "min.cleanable.dirty.ratio"]
    return [
        describe(asker, 2, name, keys, version=version, include_synonyms=synonyms)
        for version in range(1, 5)
        for synonyms in (False, True)
    ]


@question
def describe_all_of_a_topic(asker: Asker) -> Any:
    """Every configuration of a topic has the same name, value, type and source."""
    answer = describe(asker, 2, asker.topic(), include_synonyms=True)
    configs = answer["results"][0]["configs"]
    return [config for config in configs if config["name"] != "min.insync.replicas"]


@question
def describe_with_documentation(asker: Asker) -> Any:
    """Documentation comes when it is asked for."""
    name = asker.topic()
    return [
        describe(asker, 2, name, ["retention.ms"], include_documentation=wanted, version=version)
        for wanted in (True, False)
        for version in (3, 4)
    ]


@question
def describe_strange_keys(asker: Asker) -> Any:
    """Keys that there are not, and none at all."""
    name = asker.topic()
    return [describe(asker, 2, name, ["unheard.of"]), describe(asker, 2, name, ["retention.ms", "unheard.of"])]


@question
def describe_strange_resources(asker: Asker) -> Any:
    """Resources that there are not."""
    return [
        describe(asker, 2, "nobody-has-this"),
        describe(asker, 2, "wrong name"),
        describe(asker, 2, ""),
        describe(asker, 4, "99"),
        describe(asker, 4, "one"),
        describe(asker, 3, "group"),
        describe(asker, 99, "x"),
    ]


@question
def describe_a_broker(asker: Asker) -> Any:
    """What the embedded broker has of a broker's configurations is what Kafka has."""
    keys = [
        "message.max.bytes",
        "fetch.max.bytes",
        "delete.topic.enable",
        "log.cleanup.policy",
        "socket.request.max.bytes",
    ]
    return [
        [config["name"], config["value"], config["config_source"], config["config_type"], config["is_sensitive"]]
        for config in describe(asker, 4, "1", keys)["results"][0]["configs"]
    ]
