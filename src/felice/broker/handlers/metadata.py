"""Metadata: nodes, topics, and who leads what."""

from collections.abc import Iterable
from contextlib import suppress

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.partition import NO_LEADER, Partition
from felice.broker.refusal import Refused
from felice.broker.topics import INTERNAL, Topic, check_name
from felice.errors import ErrorCode
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.schema import ZERO_UUID

__all__ = ["HANDLER"]

IDS_FROM = 12


def _handle(call: Call, request: MetadataRequest) -> MetadataResponse:
    """Describe the cluster, and the topics that are asked for."""
    cluster = call.cluster
    wrong = _unheard_of(call, request)
    if wrong:
        return MetadataResponse(
            topics=[_failed(wrong, asked.name or "", asked.topic_id) for asked in request.topics or ()],
            error_code=wrong,
        )
    answer = MetadataResponse(
        brokers=[
            MetadataResponse.Broker(node_id=node.id, host=node.host, port=node.port, rack=node.rack)
            for node in cluster.alive
        ],
        cluster_id=cluster.id,
        controller_id=cluster.controller_id,
    )
    if request.topics is None or (call.version == 0 and not request.topics):
        answer.topics = [
            _described(call, topic)
            for topic in cluster.topics.values()
            if call.may(Operation.DESCRIBE, Resource.TOPIC, topic.name)
        ]
    elif any(asked.topic_id != ZERO_UUID for asked in request.topics):
        answer.topics = [_by_id(call, asked.topic_id) for asked in request.topics if asked.topic_id != ZERO_UUID]
    else:
        create = request.allow_auto_topic_creation and cluster.settings.flag("auto.create.topics.enable")
        names = dict.fromkeys(asked.name or "" for asked in request.topics)
        answer.topics = [_by_name(call, name, create) for name in names]
    if request.include_topic_authorized_operations:
        for topic in answer.topics:
            if topic.error_code != ErrorCode.TOPIC_AUTHORIZATION_FAILED:
                topic.topic_authorized_operations = call.permitted(Resource.TOPIC, topic.name or "")
    if request.include_cluster_authorized_operations:
        may_know = call.may(Operation.DESCRIBE, Resource.CLUSTER)
        answer.cluster_authorized_operations = call.permitted(Resource.CLUSTER) if may_know else 0
    return answer


def _unheard_of(call: Call, request: MetadataRequest) -> ErrorCode:
    """Return what is wrong with the request as a whole: versions 10 and 11 have the fields for IDs, but no meaning."""
    if 10 <= call.version < IDS_FROM:
        for asked in request.topics or ():
            if asked.name is None or asked.topic_id != ZERO_UUID:
                return ErrorCode.INVALID_REQUEST
    return ErrorCode.NONE


def _by_id(call: Call, topic_id: bytes) -> MetadataResponse.Topic:
    """Describe a topic that is asked for by its ID."""
    topic = call.cluster.topics_by_id.get(topic_id)
    if topic is None:
        return _failed(ErrorCode.UNKNOWN_TOPIC_ID, None, topic_id)
    described = _described(call, topic)
    if described.error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED:
        return _failed(ErrorCode.TOPIC_AUTHORIZATION_FAILED, None, topic_id)
    return described


def _by_name(call: Call, name: str, create: bool) -> MetadataResponse.Topic:
    """Describe a topic that is asked for by its name, and create it where it is missing and that is wanted.

    Like Kafka, the request that creates a topic does not know it yet: its answer is that there is none, also where it
    cannot be created.
    """
    topic = call.cluster.topics.get(name)
    if topic is not None:
        return _described(call, topic)
    try:
        call.check_faults(name)
        if not call.may(Operation.DESCRIBE, Resource.TOPIC, name):
            return _kept_out(name)
        if create:
            call.authorize_creation(name)
        check_name(name)
    except Refused as refused:
        return _failed(refused.code, name)
    if create and not call.cluster.coordination.make(name):
        with suppress(Refused):
            call.cluster.create_topic(call.cluster.plan_topic(name))
    return _failed(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name)


def _failed(code: ErrorCode, name: str | None, topic_id: bytes = ZERO_UUID) -> MetadataResponse.Topic:
    """Return the entry of a topic that cannot be described."""
    return MetadataResponse.Topic(error_code=code, name=name, topic_id=topic_id, is_internal=name in INTERNAL)


def _kept_out(name: str) -> MetadataResponse.Topic:
    """Return the entry of a topic of which the client may know nothing."""
    return MetadataResponse.Topic(error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED, name=name)


def _described(call: Call, topic: Topic) -> MetadataResponse.Topic:
    """Describe a topic."""
    try:
        call.check_faults(topic.name)
    except Refused as refused:
        return _failed(refused.code, topic.name, topic.id)
    if not call.may(Operation.DESCRIBE, Resource.TOPIC, topic.name):
        return _kept_out(topic.name)
    alive = {node.id for node in call.cluster.alive}
    return MetadataResponse.Topic(
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.is_internal,
        partitions=[_partition(call, partition, alive) for partition in topic.partitions],
    )


def _partition(call: Call, partition: Partition, alive: set[int]) -> MetadataResponse.Partition:
    """Describe a partition. In version 0 there are only the replicas that are up, and a code where others are not."""
    offline = [node for node in partition.replicas if node not in alive]
    code = ErrorCode.LEADER_NOT_AVAILABLE if partition.leader == NO_LEADER else ErrorCode.NONE
    if call.version == 0 and offline and not code:
        code = ErrorCode.REPLICA_NOT_AVAILABLE
    return MetadataResponse.Partition(
        error_code=code,
        partition_index=partition.index,
        leader_id=partition.leader,
        leader_epoch=partition.leader_epoch,
        replica_nodes=[node for node in partition.replicas if call.version > 0 or node in alive],
        isr_nodes=list(partition.in_sync),
        offline_replicas=offline,
    )


def _partitions(call: Call, request: MetadataRequest) -> Iterable[tuple[str, int]]:
    """Give the partitions of the topics that are asked for."""
    cluster = call.cluster
    for asked in request.topics or [MetadataRequest.Topic(name=name) for name in cluster.topics]:
        topic = cluster.topics_by_id.get(asked.topic_id) if asked.name is None else cluster.topics.get(asked.name)
        if topic is not None:
            for partition in topic.partitions:
                yield topic.name, partition.index
        elif asked.name is not None:
            yield asked.name, 0


HANDLER = Handler(_handle, _partitions)
