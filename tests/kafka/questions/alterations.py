"""Questions about AlterConfigs, IncrementalAlterConfigs and ListConfigResources."""

from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.alter_configs import AlterConfigsRequest
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from felice.wire.messages.list_config_resources import ListConfigResourcesRequest
from questions.asked import eventually, question
from questions.configs import describe
from questions.members import coordinated

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)

Change = tuple[str, int, str | None]


def alter(asker: Asker, kind: int, name: str, *changes: Change, check: bool = False, version: int = 1) -> Any:
    """Change some configurations of one resource."""
    return alter_all(asker, (kind, name, changes), check=check, version=version)


def alter_all(
    asker: Asker, *resources: tuple[int, str, tuple[Change, ...]], check: bool = False, version: int = 1
) -> Any:
    """Change some configurations of several resources; the order of the answers does not matter."""
    asked = [
        IncrementalAlterConfigsRequest.AlterConfigsResource(
            resource_type=kind,
            resource_name=name,
            configs=[
                IncrementalAlterConfigsRequest.AlterableConfig(name=key, config_operation=operation, value=value)
                for key, operation, value in changes
            ],
        )
        for kind, name, changes in resources
    ]
    answer = asker.ask(IncrementalAlterConfigsRequest(resources=asked, validate_only=check), version)
    return sorted(map(comparable, answer.responses), key=str)


def replace(
    asker: Asker, kind: int, name: str, configs: dict[str, str | None], *, check: bool = False, version: int = 2
) -> Any:
    """Give one resource other configurations in place of all it had."""
    asked = AlterConfigsRequest.AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[AlterConfigsRequest.AlterableConfig(name=key, value=value) for key, value in configs.items()],
    )
    return comparable(asker.ask(AlterConfigsRequest(resources=[asked], validate_only=check), version))


def shown(asker: Asker, kind: int, name: str, *keys: str) -> Any:
    """Describe some configurations with what would stand without them."""
    answer = describe(asker, kind, name, list(keys) or None, include_synonyms=True)
    return [
        (
            config["name"], config["value"], config["read_only"], config["config_source"], config["is_sensitive"],
            [(synonym["name"], synonym["value"], synonym["source"]) for synonym in config["synonyms"]],
        )
        for config in answer["results"][0]["configs"]
    ]  # fmt: skip


def settled(asker: Asker, kind: int, name: str, *changes: Change) -> None:
    """Change something, and wait until it counts: real Kafka's brokers hear of it a little later."""
    answer = alter(asker, kind, name, *changes)
    assert answer[0]["error_code"] == 0, answer

    def seen() -> bool:
        own = {synonym for config in shown(asker, kind, name) for synonym in config[5] if synonym[2] not in (4, 5)}
        values = {(key, source): value for key, value, source in own}
        source = {TOPIC: 1, BROKER: 2 if name else 3, METRICS: 7, GROUP: 8}[kind]
        return all(
            (key, source) in values and values[key, source] in (value, None)
            if operation == SET
            else (key, source) not in values
            for key, operation, value in changes
        )

    eventually(seen)
    barrier(asker)


def barrier(asker: Asker) -> None:
    """Return when all that was described before this call also counts.

    A broker describes what it has read of the metadata's log, and obeys it a moment later, but always before it reads
    on: so what counts is all that stood before something that is described only now.
    """
    for operation, value in ((SET, "46001"), (DELETE, None)):
        assert alter(asker, GROUP, "barrier", ("consumer.session.timeout.ms", operation, value))[0]["error_code"] == 0
        eventually(
            lambda value=value: (  # type: ignore[misc]
                (shown(asker, GROUP, "barrier", "consumer.session.timeout.ms")[0][3] == 8) == (value is not None)
            )
        )


@question
def change_a_topics_configs_in_all_versions(asker: Asker) -> Any:
    """Set and take back, with both requests."""
    name = asker.topic(retention_ms=5)
    answers = []
    for version in (0, 1):
        answers.append(alter(asker, TOPIC, name, ("retention.ms", SET, "1000"), version=version))
        barrier(asker)
        answers.append(shown(asker, TOPIC, name, "retention.ms", "segment.bytes"))
        answers.append(alter(asker, TOPIC, name, ("retention.ms", DELETE, None), version=version))
        barrier(asker)
        answers.append(shown(asker, TOPIC, name, "retention.ms"))
    for version in (0, 1, 2):
        answers.append(replace(asker, TOPIC, name, {"segment.bytes": "2000000"}, version=version))
        answers.append(replace(asker, TOPIC, name, {"retention.ms": "1000"}, version=version))
        barrier(asker)
        answers.append(shown(asker, TOPIC, name, "retention.ms", "segment.bytes"))
    answers.append(replace(asker, TOPIC, name, {}))
    barrier(asker)
    answers.append(shown(asker, TOPIC, name, "retention.ms", "segment.bytes"))
    return answers


@question
def coordinators_topics(asker: Asker) -> Any:
    """The topics in which coordinators keep what they know are configured by the broker's keys."""
    coordinated(asker, asker.name())
    asker.transactional_producer(asker.name())
    return [
        sorted(config for config in shown(asker, TOPIC, name) if config[3] == 1)
        for name in ("__consumer_offsets", "__transaction_state")
    ]


@question
def check_a_change_only(asker: Asker) -> Any:
    """Nothing is changed by a request that is only to be checked."""
    name = asker.topic()
    return [
        alter(asker, TOPIC, name, ("retention.ms", SET, "1000"), check=True),
        alter(asker, TOPIC, name, ("retention.ms", SET, "soon"), check=True),
        replace(asker, TOPIC, name, {"retention.ms": "1000"}, check=True),
        replace(asker, TOPIC, name, {"retention.ms": "soon"}, check=True),
        alter(asker, BROKER, "", ("message.max.bytes", SET, "1000"), check=True),
        alter(asker, BROKER, "1", ("message.max.bytes", SET, "1000"), check=True),
        shown(asker, TOPIC, name, "retention.ms"),
        shown(asker, BROKER, "1", "message.max.bytes"),
    ]


@question
def change_lists(asker: Asker) -> Any:
    """Lists grow and shrink; other types do not."""
    name = asker.topic()
    answers = []
    for key, operation, value in [
        ("cleanup.policy", APPEND, "compact"), ("cleanup.policy", APPEND, "compact"),
        ("cleanup.policy", SUBTRACT, "delete"), ("cleanup.policy", SUBTRACT, "delete"),
        ("cleanup.policy", APPEND, "burn"), ("cleanup.policy", SUBTRACT, "compact"),
        ("cleanup.policy", SUBTRACT, "compact"), ("cleanup.policy", APPEND, "compact,delete"),
        ("cleanup.policy", SET, "delete,delete"), ("cleanup.policy", DELETE, "x"),
        ("retention.ms", APPEND, "1"), ("retention.ms", SUBTRACT, "1"), ("unheard.of", APPEND, "1"),
        ("follower.replication.throttled.replicas", APPEND, "0:1"),
        ("follower.replication.throttled.replicas", APPEND, "0:2,1:1"),
        ("follower.replication.throttled.replicas", APPEND, "*"),
        ("follower.replication.throttled.replicas", SET, "*"),
        ("leader.replication.throttled.replicas", SET, "none"),
        ("leader.replication.throttled.replicas", SET, "0:x"),
    ]:  # fmt: skip
        answers.append(alter(asker, TOPIC, name, (key, operation, value)))
        barrier(asker)
        answers.append(
            shown(asker, TOPIC, name, "cleanup.policy", "retention.ms", "follower.replication.throttled.replicas")
        )
    return answers


@question
def change_configs_in_strange_ways(asker: Asker) -> Any:
    """Operations, values, names and resources that cannot be."""
    name = asker.topic()
    return [
        alter(asker, TOPIC, name, ("retention.ms", 4, "1")),
        alter(asker, TOPIC, name, ("retention.ms", -1, "1")),
        alter(asker, TOPIC, name, ("retention.ms", SET, None)),
        alter(asker, TOPIC, name, ("cleanup.policy", APPEND, None)),
        alter(asker, TOPIC, name, ("retention.ms", SET, "1"), ("retention.ms", SET, "2")),
        alter(asker, TOPIC, name, ("retention.ms", SET, "1"), ("retention.ms", DELETE, None)),
        alter(asker, TOPIC, name, ("unheard.of", SET, "1")),
        alter(asker, TOPIC, name, ("unheard.of", DELETE, None)),
        alter(asker, TOPIC, name, ("", SET, "1")),
        alter(asker, TOPIC, name),
        alter(asker, TOPIC, name, ("retention.ms", SET, "1"), ("segment.bytes", SET, "1")),
        alter(asker, TOPIC, "nobody-has-this", ("retention.ms", SET, "1")),
        alter(asker, TOPIC, "nobody-has-this", ("retention.ms", SET, "soon")),
        alter(asker, TOPIC, "nobody-has-this", ("retention.ms", SET, None)),
        alter(asker, TOPIC, "wrong name", ("retention.ms", SET, "1")),
        alter(asker, TOPIC, "", ("retention.ms", SET, "1")),
        alter(asker, 0, "x", ("retention.ms", SET, "1")),
        alter(asker, 3, "x", ("retention.ms", SET, "1")),
        alter(asker, 99, "x", ("retention.ms", SET, "1")),
        alter_all(asker),
        alter_all(asker, (TOPIC, name, (("retention.ms", SET, "1"),)), (TOPIC, name, (("retention.ms", SET, "2"),))),
        alter_all(
            asker, (TOPIC, name, (("retention.ms", SET, "soon"),)), (TOPIC, "nobody", (("retention.ms", SET, "2"),)),
            (GROUP, asker.name(), (("consumer.session.timeout.ms", DELETE, ""),)),
        ),
        shown(asker, TOPIC, name, "retention.ms", "segment.bytes"),
    ]  # fmt: skip


@question
def replace_configs_in_strange_ways(asker: Asker) -> Any:
    """The older request with values and resources that cannot be."""
    name = asker.topic()
    return [
        replace(asker, TOPIC, name, {"retention.ms": None}),
        replace(asker, TOPIC, name, {"retention.ms": "soon"}),
        replace(asker, TOPIC, name, {"unheard.of": "1"}),
        replace(asker, TOPIC, "nobody-has-this", {"retention.ms": "1"}),
        replace(asker, TOPIC, "wrong name", {"retention.ms": "1"}),
        replace(asker, TOPIC, "", {}),
        replace(asker, BROKER, "99", {"message.max.bytes": "1000"}),
        replace(asker, BROKER, "one", {"message.max.bytes": "1000"}),
        replace(asker, BROKER, "1", {"num.partitions": "3"}),
        replace(asker, LOGGER, "1", {"kafka": "DEBUG"}),
        replace(asker, 3, "x", {"retention.ms": "1"}),
        shown(asker, TOPIC, name, "retention.ms"),
    ]


@question
def change_values_of_a_topic(asker: Asker) -> Any:
    """Each kind of value, right and wrong, is taken or refused as when the topic is created."""
    name = asker.topic()
    values = {
        "retention.ms": ["-1", "-2", "", " 7 "],
        "max.message.bytes": ["0", "3000000000"],
        "compression.type": ["zstd", "rar"],
        "preallocate": ["true", "yes"],
        "min.cleanable.dirty.ratio": ["0.1", "2"],
        "local.retention.ms": ["-2", "5"],
        "remote.storage.enable": ["true"],
        "min.compaction.lag.ms": ["9223372036854775807"],
        "max.compaction.lag.ms": ["1"],
    }
    return [
        alter(asker, TOPIC, name, (key, SET, value), check=True) for key, tried in values.items() for value in tried
    ]


@question
def a_changed_topic_acts_at_once(asker: Asker) -> Any:
    """The largest batch, and who stamps it."""
    name = asker.topic()
    answers = [comparable(asker.produce(name, batch(b"x" * 500)))]
    settled(asker, TOPIC, name, ("max.message.bytes", SET, "300"))
    answers.append(comparable(asker.produce(name, batch(b"x" * 500))))
    answers.append(comparable(asker.produce(name, batch(b"x"))))
    settled(asker, TOPIC, name, ("message.timestamp.type", SET, "LogAppendTime"))
    answers.append(comparable(asker.produce(name, batch(b"x"))))
    settled(asker, TOPIC, name, ("message.timestamp.type", DELETE, None), ("cleanup.policy", SET, "compact"))
    answers.append(comparable(asker.produce(name, batch(b"x"))))
    settled(asker, TOPIC, name, ("cleanup.policy", DELETE, None), ("max.message.bytes", DELETE, None))
    answers.append(comparable(asker.produce(name, batch(b"x" * 500))))
    return answers


@question
def change_all_brokers(asker: Asker) -> Any:
    """What is set for all brokers stands over their files, and under what one broker has for itself."""
    key = "message.max.bytes"
    name = asker.topic()
    answers = []

    def look() -> None:
        answers.append([shown(asker, BROKER, broker, key) for broker in ("", "1")])
        answers.append(shown(asker, TOPIC, name, "max.message.bytes"))

    look()
    settled(asker, BROKER, "", (key, SET, "400"))
    look()
    answers.append(comparable(asker.produce(name, batch(b"x" * 500))))
    settled(asker, BROKER, "1", (key, SET, "900"))
    look()
    answers.append(comparable(asker.produce(name, batch(b"x" * 500))))
    answers.append(comparable(asker.produce(name, batch(b"x" * 1000))))
    settled(asker, TOPIC, name, ("max.message.bytes", SET, "600"))
    look()
    settled(asker, TOPIC, name, ("max.message.bytes", DELETE, None))
    settled(asker, BROKER, "1", (key, DELETE, None))
    look()
    settled(asker, BROKER, "", (key, DELETE, None))
    look()
    answers.append(comparable(asker.produce(name, batch(b"x" * 500))))
    return answers


@question
def change_brokers_in_strange_ways(asker: Asker) -> Any:
    """Keys that are read-only or for each broker only, values that do not fit, brokers that there are not."""
    changes = [
        ("num.partitions", SET, "3"), ("num.partitions", DELETE, None), ("unheard.of", SET, "1"),
        ("message.max.bytes", SET, "soon"), ("message.max.bytes", SET, "-1"), ("message.max.bytes", SET, None),
        ("message.max.bytes", APPEND, "1"), ("log.cleanup.policy", SET, "burn"),
        ("log.cleanup.policy", APPEND, "burn"), ("max.connections.per.ip.overrides", SET, "not right"),
        ("ssl.keystore.location", SET, "/nowhere"), ("listeners", SET, "PLAINTEXT://:1"),
        ("log.retention.ms", SET, "-2"), ("log.roll.ms", SET, "0"), ("log.roll.jitter.ms", SET, "-1"),
        ("min.insync.replicas", SET, "0"),
        ("leader.replication.throttled.rate", SET, "-1"), ("node.id", SET, "7"), ("log.retention.hours", SET, "1"),
        ("log.cleaner.threads", SET, "100"),
        ("auto.create.topics.enable", SET, "true"), ("transaction.max.timeout.ms", SET, "5"),
    ]  # fmt: skip
    answers = [alter(asker, BROKER, broker, change, check=True) for change in changes for broker in ("", "1")]
    answers += [
        alter(asker, BROKER, broker, ("message.max.bytes", SET, "1000"), check=True)
        for broker in ("99", "one", "-1", "1 ", "01")
    ]
    answers.append(replace(asker, BROKER, "1", {"unheard.of": "1"}, check=True))
    answers.append(replace(asker, BROKER, "", {"message.max.bytes": "-1"}, check=True))
    answers.append(replace(asker, BROKER, "", {"ssl.keystore.location": "/nowhere"}, check=True))
    return answers


@question
def replicas_throttled_by_a_tool(asker: Asker) -> Any:
    """The rates that kafka-reassign-partitions sets are described while they are set."""
    answers = []
    for key in ("leader.replication.throttled.rate", "follower.replication.throttled.rate"):
        answers.append(shown(asker, BROKER, "1", key))
        answers.append(alter(asker, BROKER, "1", (key, SET, "1000")))
        eventually(lambda key=key: bool(shown(asker, BROKER, "1", key)))  # type: ignore[misc]
        answers.append(shown(asker, BROKER, "1", key))
        answers.append(alter(asker, BROKER, "1", (key, DELETE, None)))
        eventually(lambda key=key: not shown(asker, BROKER, "1", key))  # type: ignore[misc]
    return answers


@question
def strange_keys_of_brokers(asker: Asker) -> Any:
    """Keys that nobody knows are kept, as something plugged in may know them, but never shown; nor are passwords."""
    strange, secret = "unheard.of", "listener.name.plaintext.ssl.key.password"
    answers = [alter(asker, BROKER, "1", ("ssl.key.password", SET, "secret"), check=True)]
    settled(asker, BROKER, "1", (strange, SET, "5"), (secret, SET, "secret"))
    settled(asker, BROKER, "", ("unheard.two", SET, "6"))
    keys = (strange, secret, "unheard.two", "ssl.key.password")
    answers.append([describe(asker, BROKER, name, list(keys), include_synonyms=True) for name in ("", "1")])
    settled(asker, BROKER, "1", (strange, DELETE, None), (secret, DELETE, None))
    settled(asker, BROKER, "", ("unheard.two", DELETE, None))
    answers.append([shown(asker, BROKER, name, *keys) for name in ("", "1")])
    return answers


@question
def numbers_of_brokers_that_depend(asker: Asker) -> Any:
    """Values that fit by themselves and not with others, or not after the present one."""
    tried = [
        ("num.io.threads", "100"), ("num.io.threads", "16"), ("num.io.threads", "4"), ("num.io.threads", "3"),
        ("log.retention.ms", "0"), ("log.flush.interval.ms", "-1"), ("producer.id.expiration.ms", "0"),
        ("background.threads", "21"), ("max.connections.per.ip", "0"), ("cordoned.log.dirs", "/nowhere"),
        ("metric.reporters", "a.b.C"), ("log.cleanup.policy", ""), ("log.cleanup.policy", "delete,delete"),
        ("compression.type", "rar"), ("remote.fetch.max.wait.ms", "0"), ("principal.builder.class", "x"),
        ("listener.security.protocol.map", "A:PLAINTEXT"), ("min.insync.replicas", "1"),
    ]  # fmt: skip
    return [
        *(alter(asker, BROKER, "1", (key, SET, value), check=True) for key, value in tried),
        alter(asker, BROKER, "", ("min.insync.replicas", SET, "1"), check=True),
        alter(asker, BROKER, "", ("min.insync.replicas", DELETE, None), check=True),
        replace(asker, BROKER, "", {"message.max.bytes": "1000"}, check=True),
        replace(asker, BROKER, "", {"message.max.bytes": "1000", "min.insync.replicas": "1"}, check=True),
    ]


@question
def values_are_written_as_kafka_writes_them(asker: Asker) -> Any:
    """However a value was written, it is described in one way."""
    name = asker.topic()
    answers = []
    for key, value in [
        ("preallocate", "TRUE"), ("retention.ms", " 7 "), ("min.cleanable.dirty.ratio", "0.10"),
        ("min.cleanable.dirty.ratio", "1"), ("cleanup.policy", " delete , compact "), ("compression.type", " zstd "),
        ("cleanup.policy", "delete,compact,delete"), ("max.message.bytes", "+5"), ("max.message.bytes", "05"),
    ]:  # fmt: skip
        answers.append(alter(asker, TOPIC, name, (key, SET, value)))
        barrier(asker)
        answers.append(shown(asker, TOPIC, name, key))
    return answers


@question
def change_loggers(asker: Asker) -> Any:
    """Levels of loggers, by name."""
    logger = "kafka.server.KafkaApis"
    return [
        alter(asker, LOGGER, "1", (logger, SET, "DEBUG"), check=True),
        alter(asker, LOGGER, "1", (logger, SET, "LOUD")),
        alter(asker, LOGGER, "1", (logger, SET, "debug")),
        alter(asker, LOGGER, "1", ("org.nobody.has.This", SET, "DEBUG")),
        alter(asker, LOGGER, "1", ("org.nobody.has.This", DELETE, "")),
        alter(asker, LOGGER, "1", (logger, APPEND, "DEBUG")),
        alter(asker, LOGGER, "1", ("root", DELETE, "")),
        alter(asker, LOGGER, "99", (logger, SET, "DEBUG")),
        alter(asker, LOGGER, "", (logger, SET, "DEBUG")),
        alter(asker, LOGGER, "one", (logger, SET, "DEBUG")),
        describe(asker, LOGGER, "99"),
        describe(asker, LOGGER, ""),
        describe(asker, LOGGER, "one"),
        alter(asker, LOGGER, "1", (logger, SET, "DEBUG")),
        shown(asker, LOGGER, "1", logger),
        alter(asker, LOGGER, "1", (logger, DELETE, "")),
        alter(asker, LOGGER, "1", (logger, DELETE, "")),
    ]


@question
def change_groups(asker: Asker) -> Any:
    """Configurations of groups, whether or not there is such a group."""
    name = asker.name()
    answers = [
        shown(asker, GROUP, name),
        describe(asker, GROUP, ""),
        alter(asker, GROUP, "", ("consumer.session.timeout.ms", SET, "50000")),
        alter(asker, GROUP, name, ("unheard.of", SET, "1")),
        alter(asker, GROUP, name, ("consumer.session.timeout.ms", SET, "soon")),
        alter(asker, GROUP, name, ("consumer.session.timeout.ms", SET, "1")),
        alter(asker, GROUP, name, ("consumer.session.timeout.ms", SET, "1000000")),
        alter(asker, GROUP, name, ("consumer.heartbeat.interval.ms", SET, "1")),
        alter(asker, GROUP, name, ("consumer.heartbeat.interval.ms", SET, "16000")),
        alter(asker, GROUP, name, ("consumer.heartbeat.interval.ms", SET, "15000")),
        alter(asker, GROUP, name, ("consumer.session.timeout.ms", SET, "46000"), check=True),
        alter(asker, GROUP, name, ("share.auto.offset.reset", SET, "never"), check=True),
        alter(asker, GROUP, name, ("share.auto.offset.reset", SET, "by_duration:PT1H"), check=True),
        alter(asker, GROUP, name, ("share.isolation.level", SET, "read_committed"), check=True),
        alter(asker, GROUP, name, ("share.record.lock.duration.ms", SET, "1000"), check=True),
        alter(asker, GROUP, name, ("streams.num.standby.replicas", SET, "3"), check=True),
        alter(asker, GROUP, name, ("consumer.session.timeout.ms", SET, None)),
    ]
    settled(asker, GROUP, name, ("consumer.session.timeout.ms", SET, "50000"))
    answers.append(shown(asker, GROUP, name))
    answers.append(comparable(describe(asker, GROUP, name, include_documentation=True)))
    settled(asker, GROUP, name, ("consumer.session.timeout.ms", DELETE, None))
    settled(asker, GROUP, name, ("consumer.heartbeat.interval.ms", DELETE, None))
    answers.append(shown(asker, GROUP, name, "consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"))
    return answers


@question
def change_client_metrics(asker: Asker) -> Any:
    """Subscriptions to clients' metrics (KIP-714)."""
    name = asker.name()
    answers = [
        shown(asker, METRICS, name),
        describe(asker, METRICS, ""),
        alter(asker, METRICS, "", ("interval.ms", SET, "1000")),
        alter(asker, METRICS, name, ("unheard.of", SET, "1")),
        alter(asker, METRICS, name, ("interval.ms", SET, "99")),
        alter(asker, METRICS, name, ("interval.ms", SET, "3600001")),
        alter(asker, METRICS, name, ("interval.ms", SET, "soon")),
        alter(asker, METRICS, name, ("match", SET, "client_id")),
        alter(asker, METRICS, name, ("match", SET, "nobody=a")),
        alter(asker, METRICS, name, ("match", SET, "client_id=(")),
        alter(asker, METRICS, name, ("match", SET, "client_id=nobody-is-called-this"), ("interval.ms", SET, "500")),
    ]
    settled(asker, METRICS, name, ("metrics", SET, "org.apache.kafka.nothing"))
    answers.append(shown(asker, METRICS, name))
    answers.append(describe(asker, METRICS, name, ["interval.ms"], include_documentation=True))
    answers.append(alter(asker, METRICS, name, ("metrics", APPEND, "b.c")))
    settled(asker, METRICS, name, ("match", DELETE, None), ("interval.ms", DELETE, None), ("metrics", DELETE, None))
    answers.append(shown(asker, METRICS, name))
    return answers


@question
def list_what_has_configs(asker: Asker) -> Any:
    """Resources with configurations of their own, of one type or all."""
    topic, group, metrics = asker.topic(), asker.name(), asker.name()
    settled(asker, GROUP, group, ("consumer.session.timeout.ms", SET, "50000"))
    settled(asker, METRICS, metrics, ("interval.ms", SET, "500"), ("match", SET, "client_id=nobody-is-called-this"))

    def listed(*types: int, version: int = 1) -> Any:
        answer = asker.ask(ListConfigResourcesRequest(resource_types=list(types)), version)
        ours = {topic, group, metrics, "1"}
        found = sorted(
            (found.resource_type, found.resource_name)
            for found in answer.config_resources
            if found.resource_name in ours
        )
        return [answer.error_code, found]

    answers = [
        listed(), listed(version=0), *(listed(kind) for kind in (TOPIC, BROKER, LOGGER, METRICS, GROUP)),
        listed(0), listed(99), listed(TOPIC, GROUP), listed(TOPIC, 1),
    ]  # fmt: skip
    settled(asker, GROUP, group, ("consumer.session.timeout.ms", DELETE, None))
    settled(asker, METRICS, metrics, ("interval.ms", DELETE, None), ("match", DELETE, None))
    eventually(lambda: len(listed(GROUP, METRICS)[1]) == 0)
    return answers


@question
def every_config_of_a_broker(asker: Asker) -> Any:
    """All names with their types, defaults, whether they can be changed, and whether they are secret."""
    answer = describe(asker, BROKER, "1", include_synonyms=True)
    return [
        (
            config["name"], config["config_type"], config["read_only"], config["is_sensitive"],
            [synonym["value"] for synonym in config["synonyms"] if synonym["source"] == 5],
            config["value"] if config["config_source"] == 5 else "<set>",
        )
        for config in answer["results"][0]["configs"]
        if config["name"] not in NODES_OWN
    ]  # fmt: skip


NODES_OWN = ("controller.quorum.voters",)
"""What real Kafka is told because its controllers have a network of their own."""


@question
def a_topic_made_with_changed_defaults(asker: Asker) -> Any:
    """The answer of CreateTopics has the sources of its configurations."""
    settled(asker, BROKER, "", ("log.retention.ms", SET, "70000"))
    asked = CreateTopicsRequest.CreatableTopic(
        name=asker.name(),
        num_partitions=1,
        replication_factor=1,
        configs=[CreateTopicsRequest.CreatableTopicConfig(name="segment.bytes", value="2000000")],
    )
    answer = asker.ask(CreateTopicsRequest(topics=[asked], validate_only=True), 7).topics[0]
    settled(asker, BROKER, "", ("log.retention.ms", DELETE, None))
    return sorted((one.name, one.value, one.read_only, one.config_source) for one in answer.configs)
