"""Questions about the cluster as a whole: brokers, quorum, features, tokens, telemetry, log directories."""

from typing import Any

from asking import Asker, batch, comparable
from felice.wire.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.create_delegation_token import CreateDelegationTokenRequest
from felice.wire.messages.describe_cluster import DescribeClusterRequest
from felice.wire.messages.describe_configs import DescribeConfigsRequest
from felice.wire.messages.describe_delegation_token import DescribeDelegationTokenRequest
from felice.wire.messages.describe_log_dirs import DescribeLogDirsRequest
from felice.wire.messages.describe_quorum import DescribeQuorumRequest
from felice.wire.messages.expire_delegation_token import ExpireDelegationTokenRequest
from felice.wire.messages.get_telemetry_subscriptions import GetTelemetrySubscriptionsRequest
from felice.wire.messages.push_telemetry import PushTelemetryRequest
from felice.wire.messages.renew_delegation_token import RenewDelegationTokenRequest
from felice.wire.messages.sasl_authenticate import SaslAuthenticateRequest
from felice.wire.messages.sasl_handshake import SaslHandshakeRequest
from felice.wire.messages.unregister_broker import UnregisterBrokerRequest
from felice.wire.messages.update_features import UpdateFeaturesRequest
from questions.asked import question


@question
def describe_the_cluster(asker: Asker) -> Any:
    """In all versions, with operations, fenced brokers and controllers."""
    answers = []
    for version in range(3):
        for operations in (False, True):
            answer = asker.ask(DescribeClusterRequest(include_cluster_authorized_operations=operations), version)
            answers.append(comparable(answer))
    for endpoints in (0, 2, 3):
        answers.append(comparable(asker.ask(DescribeClusterRequest(endpoint_type=endpoints), 1)))
    answers.append(comparable(asker.ask(DescribeClusterRequest(include_fenced_brokers=True), 2)))
    return answers


def quorum(asker: Asker, topic: str, *partitions: int, version: int = 2) -> Any:
    """Describe the quorum of a partition."""
    asked = DescribeQuorumRequest.TopicData(
        topic_name=topic,
        partitions=[DescribeQuorumRequest.PartitionData(partition_index=index) for index in partitions],
    )
    return asker.ask(DescribeQuorumRequest(topics=[asked]), version)


@question
def describe_the_quorum(asker: Asker) -> Any:
    """Who leads it and votes; numbers that grow are left out."""
    answers = []
    for version in range(3):
        answer = quorum(asker, "__cluster_metadata", 0, version=version)
        partition = answer.topics[0].partitions[0]
        answers.append(
            [
                answer.error_code, answer.topics[0].topic_name, partition.partition_index, partition.error_code,
                partition.leader_id, partition.high_watermark > 0, len(partition.observers), len(answer.nodes),
                [voter.replica_id for voter in partition.current_voters],
                [voter.log_end_offset > 0 for voter in partition.current_voters],
            ]
        )  # fmt: skip
    strange = [quorum(asker, "nobody-has-this", 0), quorum(asker, "__cluster_metadata", 1)]
    strange.append(quorum(asker, "__cluster_metadata", 0, 0))
    strange += [quorum(asker, "__cluster_metadata"), asker.ask(DescribeQuorumRequest(topics=[]), 2)]
    return answers + [comparable(answer) for answer in strange]


NOT_HERE = "streams.version"
"""The embedded broker has no streams groups."""


@question
def features(asker: Asker) -> Any:
    """What the cluster agreed on, and levels that are refused or change nothing."""
    answer = asker.ask(ApiVersionsRequest(client_software_name="asker", client_software_version="1"), 4)
    known = sorted((key.name, key.min_version, key.max_version) for key in answer.supported_features)
    agreed = sorted((key.name, key.min_version_level, key.max_version_level) for key in answer.finalized_features)

    def update(*updates: tuple[str, int, int], version: int = 2, downgrade: bool = False, check: bool = True) -> Any:
        asked = [
            UpdateFeaturesRequest.FeatureUpdateKey(
                feature=name, max_version_level=level, upgrade_type=kind, allow_downgrade=downgrade
            )
            for name, level, kind in updates
        ]
        return comparable(asker.ask(UpdateFeaturesRequest(feature_updates=asked, validate_only=check), version))

    return [
        [feature for feature in known if feature[0] != NOT_HERE],
        [feature for feature in agreed if feature[0] != NOT_HERE],
        *(
            update(change, version=version)
            for version in (1, 2)
            for change in [
                ("metadata.version", 30, 1), ("metadata.version", 29, 1), ("metadata.version", 31, 1),
                ("metadata.version", 6, 2), ("metadata.version", 0, 2), ("nobody.has.this", 1, 1),
                ("group.version", 1, 1), ("group.version", 0, 2), ("group.version", 0, 1), ("group.version", 2, 1),
                ("group.version", 1, 0), ("group.version", 1, 9), ("", 1, 1), ("transaction.version", 1, 2),
                ("transaction.version", -1, 1), ("metadata.version", 29, 2), ("transaction.version", 3, 1),
                ("kraft.version", 1, 1), ("kraft.version", 9, 1),
                ("eligible.leader.replicas.version", 0, 2), ("metadata.version", 29, 3),
            ]
        ),
        update(("group.version", 1, 1), ("transaction.version", 9, 1), version=1),
        update(("group.version", 1, 1), ("transaction.version", 9, 1)),
        update(("group.version", 1, 1), ("group.version", 1, 1)),
        update(),
        update(version=0, check=False),
        update(("group.version", 1, 1), version=0, check=False),
        update(("group.version", 9, 1), version=0, downgrade=True, check=False),
    ]  # fmt: skip


@question
def which_apis_there_are(asker: Asker) -> Any:
    """The APIs with their versions are those of Kafka."""
    answer = asker.ask(ApiVersionsRequest(client_software_name="asker", client_software_version="1"), 4)
    return sorted((api.api_key, api.min_version, api.max_version) for api in answer.api_keys if api.api_key in NAMED)


NAMED = {*range(4), *range(8, 52), 55, 57, 60, 61, 64, 65, 66, 68, 69, 71, 72, 74, 75}
"""The APIs for clients, without those of share and streams groups."""


@question
def delegation_tokens(asker: Asker) -> Any:
    """Without a secret key there are none."""
    return [
        *(comparable(asker.ask(CreateDelegationTokenRequest(renewers=[], max_lifetime_ms=-1), v)) for v in (1, 2, 3)),
        *(comparable(asker.ask(RenewDelegationTokenRequest(hmac=b"x", renew_period_ms=1), v)) for v in (1, 2)),
        *(comparable(asker.ask(ExpireDelegationTokenRequest(hmac=b"x", expiry_time_period_ms=1), v)) for v in (1, 2)),
        *(comparable(asker.ask(DescribeDelegationTokenRequest(owners=None), v)) for v in (1, 2, 3)),
    ]


@question
def authentication(asker: Asker) -> Any:
    """A connection without SASL is not one that authenticates."""
    return [
        *(comparable(asker.ask(SaslHandshakeRequest(mechanism="PLAIN"), version)) for version in (0, 1)),
        *(comparable(asker.ask(SaslAuthenticateRequest(auth_bytes=b"x"), version)) for version in (0, 1, 2)),
    ]


@question
def telemetry(asker: Asker) -> Any:
    """Nobody collects clients' metrics."""
    subscribed = asker.ask(GetTelemetrySubscriptionsRequest(client_instance_id=bytes(16)), 0)
    pushed = asker.ask(
        PushTelemetryRequest(client_instance_id=b"\1" * 16, subscription_id=1, terminating=False, metrics=b""), 0
    )
    subscribed.client_instance_id = bool(subscribed.client_instance_id.strip(b"\0"))
    subscribed.subscription_id = bool(subscribed.subscription_id)
    return [comparable(subscribed), comparable(pushed)]


@question
def unregister_a_broker(asker: Asker) -> Any:
    """One that there is not, and one that is still there."""
    return [comparable(asker.ask(UnregisterBrokerRequest(broker_id=broker), 0)) for broker in (99, -1)]


@question
def log_dirs(asker: Asker) -> Any:
    """What lies where, in all versions: all topics, some, none, and those that there are not."""
    name = asker.topic(2)
    asker.produce(name, batch(b"x" * 100), partition=1)

    def described(version: int, *wanted: tuple[str, list[int]]) -> Any:
        topics = [DescribeLogDirsRequest.DescribableLogDirTopic(topic=topic, partitions=some) for topic, some in wanted]
        answer = asker.ask(DescribeLogDirsRequest(topics=topics), version)
        return [answer.error_code, [outline(result) for result in answer.results]]

    def outline(result: Any) -> Any:
        result.topics.sort(key=lambda topic: str(topic.name))
        return [
            result.error_code, bool(result.log_dir), result.total_bytes > 0, result.usable_bytes > 0,
            result.is_cordoned,
            [
                (topic.name, sorted((p.partition_index, p.partition_size, p.offset_lag) for p in topic.partitions))
                for topic in result.topics
                if topic.name in (name, "nobody-has-this")
            ],
        ]  # fmt: skip

    answers = [described(version, (name, [0, 1])) for version in range(1, 6)]
    answers += [
        described(4, (name, [1])),
        described(4, (name, [7])),
        described(4, ("nobody-has-this", [0])),
        described(4),
    ]
    everything = asker.ask(DescribeLogDirsRequest(topics=None), 4)
    answers.append([outline(result) for result in everything.results])
    return answers


@question
def move_replicas_to_other_dirs(asker: Asker) -> Any:
    """There is one directory, which they are in already."""
    name = asker.topic()

    def move(path: str, topic: str, *partitions: int, version: int = 2) -> Any:
        moved = AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic(name=topic, partitions=list(partitions))
        asked = AlterReplicaLogDirsRequest.AlterReplicaLogDir(path=path, topics=[moved])
        return comparable(asker.ask(AlterReplicaLogDirsRequest(dirs=[asked]), version))

    resource = DescribeConfigsRequest.DescribeConfigsResource(
        resource_type=4, resource_name="1", configuration_keys=["log.dirs"]
    )
    path = asker.ask(DescribeConfigsRequest(resources=[resource]), 4).results[0].configs[0].value
    return [
        *(move(path, name, 0, version=version) for version in (1, 2)),
        move("/nowhere", name, 0), move(path, name, 7), move(path, "nobody-has-this", 0), move("relative", name, 0),
        move("/nowhere", "nobody-has-this", 0), move(path, name),
    ]  # fmt: skip
