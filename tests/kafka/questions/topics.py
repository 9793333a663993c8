"""Questions about CreateTopics and DeleteTopics."""

from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.create_partitions import CreatePartitionsRequest
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest
from felice.wire.messages.metadata import MetadataRequest
from questions.asked import question
from questions.fetch import fetch


def creatable(name: str, partitions: int = 1, replicas: int = 1, **fields: Any) -> CreateTopicsRequest.CreatableTopic:
    """A topic to create; configs may be given as a dict, assignments as lists of nodes by partition."""
    configs = [
        CreateTopicsRequest.CreatableTopicConfig(name=key, value=value)
        for key, value in fields.pop("configs", {}).items()
    ]
    assignments = [
        CreateTopicsRequest.CreatableReplicaAssignment(partition_index=index, broker_ids=nodes)
        for index, nodes in fields.pop("assignments", ())
    ]
    return CreateTopicsRequest.CreatableTopic(
        name=name, num_partitions=partitions, replication_factor=replicas, configs=configs, assignments=assignments
    )


def create(asker: Asker, *topics: CreateTopicsRequest.CreatableTopic, version: int = 7, check: bool = False) -> Any:
    """Create topics; their configurations are left out of the answer, and its order does not matter."""
    answer = asker.ask(CreateTopicsRequest(topics=list(topics), validate_only=check, timeout_ms=10_000), version)
    for topic in answer.topics:
        topic.configs = (
            [config for config in topic.configs or () if config.config_source == 1] if topic.configs else None
        )
    return sorted((comparable(topic) for topic in answer.topics), key=lambda topic: str(topic["name"]))


@question
def create_topics_in_all_versions(asker: Asker) -> Any:
    """A topic is created in every version, or only checked."""
    return [
        create(asker, creatable(asker.name(), 2), version=version, check=check)
        for version in range(2, 8)
        for check in (True, False)
    ]


@question
def create_topics_with_strange_names(asker: Asker) -> Any:
    """Names that no topic can have."""
    names = ["", ".", "..", "a" * 249, "a" * 250, "wrong name", "wrong/name", "ä", "__cluster_metadata", "a\0b"]
    return [create(asker, creatable(name), check=True) for name in names]


@question
def create_topics_that_are_there(asker: Asker) -> Any:
    """A topic twice, and one whose name differs in dots only."""
    name = asker.topic()
    dotted, scored = name.replace("-", "."), name.replace("-", "_")
    return [
        create(asker, creatable(name)),
        create(asker, creatable(name), check=True),
        create(asker, creatable(dotted)),
        create(asker, creatable(scored)),
        create(asker, creatable(scored.replace("_", ".", 1))),
    ]


@question
def create_topics_twice_at_once(asker: Asker) -> Any:
    """A topic twice in a request is an error, beside one that is none."""
    once, twice = asker.name(), asker.name()
    return create(asker, creatable(twice), creatable(once), creatable(twice, 2))


@question
def topics_without_time(asker: Asker) -> Any:
    """The controller does nothing for who gives it no time, and says so of all that the request names.

    Unless it does not hear of the request, as all of it is refused before.
    """
    there, other, new = asker.topic(2), asker.topic(), asker.name()
    topic_id, unknown, none = asker.topic_ids[there], b"x" * 16, bytes(16)
    told = []
    for timeout_ms in (0, -1, -1000):
        for names in [(), (new,), (there,), (new, new), (new, new, there), ("a b",), ("__cluster_metadata",)]:
            wanted = [creatable(name) for name in names]
            for version, check in ((7, False), (7, True), (2, False)):
                request = CreateTopicsRequest(topics=wanted, timeout_ms=timeout_ms, validate_only=check)
                told.append(comparable(asker.ask(request, version)))
        for names in [(), (new,), (there,), (there, there), (there, there, other)]:
            grown = [CreatePartitionsRequest.CreatePartitionsTopic(name=name, count=3) for name in names]
            for version in (0, 3):
                request_ = CreatePartitionsRequest(topics=grown, timeout_ms=timeout_ms)
                told.append(comparable(asker.ask(request_, version)))
            deletion = DeleteTopicsRequest(topic_names=list(names), timeout_ms=timeout_ms)
            told += [comparable(asker.ask(deletion, version)) for version in (1, 5)]
        for named in [
            [(None, topic_id)], [(None, unknown)], [(there, topic_id)], [(None, none)], [(None, topic_id)] * 2,
            [(there, none), (None, topic_id)], [(there, topic_id), (other, none)],
        ]:  # fmt: skip
            states = [DeleteTopicsRequest.DeleteTopicState(name=name, topic_id=one) for name, one in named]
            told.append(comparable(asker.ask(DeleteTopicsRequest(topics=states, timeout_ms=timeout_ms), 6)))
    topics = [MetadataRequest.Topic(name=name) for name in (there, other, new)]
    found = asker.ask(MetadataRequest(topics=topics), 9).topics
    return told, sorted((topic.name, topic.error_code, len(topic.partitions)) for topic in found)


@question
def create_topics_with_strange_numbers(asker: Asker) -> Any:
    """Numbers of partitions and replicas that cannot be; -1 is the broker's default."""
    return [
        create(asker, creatable(asker.name(), partitions, replicas), check=True)
        for partitions, replicas in [
            (0, 1), (-2, 1), (-1, 1), (1, 0), (1, -2), (1, -1), (-1, -1), (1, 2), (1, 100), (0, 0), (10_001, 1),
        ]
    ]  # fmt: skip


@question
def create_topics_with_assignments(asker: Asker) -> Any:
    """Replicas assigned by hand, in right and wrong ways."""
    return [
        create(asker, creatable(asker.name(), partitions, replicas, assignments=assignments), check=True)
        for partitions, replicas, assignments in [
            (-1, -1, [(0, [1]), (1, [1])]), (2, -1, [(0, [1]), (1, [1])]), (-1, 1, [(0, [1])]),
            (-1, -1, [(1, [1])]), (-1, -1, [(0, [1]), (2, [1])]), (-1, -1, [(0, [])]), (-1, -1, [(0, [1, 1])]),
            (-1, -1, [(0, [9])]), (-1, -1, [(0, [1]), (1, [])]),
        ]
    ]  # fmt: skip


@question
def create_topics_with_configs(asker: Asker) -> Any:
    """Configurations that there are and are not, with values that fit and do not."""
    values = {
        "retention.ms": ["1000", "-1", "-2", "soon", "", "1.5", "99999999999999999999"],
        "max.message.bytes": ["0", "-1", "3000000000"],
        "cleanup.policy": ["compact", "compact,delete", " delete , compact ", "burn", ""],
        "compression.type": ["zstd", "uncompressed", "rar", "none"],
        "message.timestamp.type": ["LogAppendTime", "never"],
        "min.cleanable.dirty.ratio": ["0.1", "2", "-1", "much"],
        "preallocate": ["true", "FALSE", "yes"],
        "segment.bytes": ["1048576", "1", "13"],
        "min.insync.replicas": ["1", "0"],
        "compression.gzip.level": ["-1", "0", "1", "9", "10"],
        "compression.lz4.level": ["0", "1", "17", "18"],
        "compression.zstd.level": ["-131072", "-131073", "22", "23"],
        "segment.ms": ["0", "1"],
        "flush.messages": ["0", "1"],
        "unheard.of": ["1"],
    }
    return [
        create(asker, creatable(asker.name(), configs={key: value}), check=True)
        for key, several in values.items()
        for value in [*several, None]
    ]


@question
def create_topics_describes_what_it_made(asker: Asker) -> Any:
    """The answer has every configuration, with the place that it comes from."""
    asked = creatable(asker.name(), configs={"retention.ms": "1000"})
    answer = asker.ask(CreateTopicsRequest(topics=[asked], validate_only=True), 7).topics[0]
    return sorted(
        (config.name, config.value, config.read_only, config.is_sensitive)
        for config in answer.configs
        if config.name != "min.insync.replicas"
    )


@question
def delete_topics(asker: Asker) -> Any:
    """By name and by ID, there and not there, twice, both, neither."""
    names = [asker.topic() for _ in range(6)]
    ids = asker.topic_ids

    def by_name(version: int, *wanted: str) -> Any:
        return ordered(asker.ask(DeleteTopicsRequest(topic_names=list(wanted), timeout_ms=5000), version))

    def by_state(*wanted: tuple[str | None, bytes]) -> Any:
        states = [DeleteTopicsRequest.DeleteTopicState(name=name, topic_id=topic_id) for name, topic_id in wanted]
        return ordered(asker.ask(DeleteTopicsRequest(topics=states, timeout_ms=5000), 6))

    def ordered(answer: Any) -> Any:
        return sorted(map(comparable, answer.responses), key=str)

    nothing = bytes(16)
    return [
        *(by_name(version, names[version - 1], "nobody-has-this") for version in range(1, 6)),
        by_name(5, names[5], names[5]),
        by_name(5, ""),
        by_state((names[5], ids[names[5]])),
        by_state((None, nothing)),
        by_state((None, b"\1" * 16)),
        by_state((None, ids[names[5]])),
        by_state((names[5], nothing)),
    ]


@question
def a_topic_created_anew_has_another_id(asker: Asker) -> Any:
    """What is asked by the old ID is not there."""
    name = asker.topic()
    old = asker.topic_ids[name]
    asker.ask(DeleteTopicsRequest(topic_names=[name], timeout_ms=5000), 5)
    create(asker, creatable(name))
    return [
        comparable(asker.produce(name, batch(b"a"), version=13, topic_id=old)),
        comparable(fetch(asker, name, (0, 0), version=13, topic_id=old)),
    ]
