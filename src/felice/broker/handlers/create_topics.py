"""CreateTopics (KIP-4, KIP-464, KIP-525)."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler
from felice.broker.cluster import DEFAULT, Plan
from felice.broker.configs.topics import topic_entries
from felice.broker.placement import MAX_PARTITIONS_AT_ONCE
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse

__all__ = ["HANDLER"]

METADATA_TOPIC = "__cluster_metadata"

Asked: TypeAlias = CreateTopicsRequest.CreatableTopic
Result: TypeAlias = CreateTopicsResponse.CreatableTopicResult


def _handle(call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse:
    """Create topics, each by itself, or only check them."""
    named = Counter(asked.name for asked in request.topics)
    first = {asked.name: asked for asked in request.topics}
    if request.timeout_ms <= 0 and any(_passes(call, asked, named[asked.name] > 1) for asked in first.values()):
        return CreateTopicsResponse(topics=[_late(asked) for asked in request.topics])
    too_much = _too_much(call, first.values())
    if too_much:
        code = ErrorCode.POLICY_VIOLATION
        return CreateTopicsResponse(
            topics=[Result(name=name, error_code=code, error_message=too_much, configs=[]) for name in first]
        )
    return CreateTopicsResponse(
        topics=[_create(call, asked, named[asked.name] > 1, request.validate_only) for asked in first.values()]
    )


def _too_much(call: Call, topics: Iterable[Asked]) -> str | None:
    """Return why a request is too large as a whole, if it is: Kafka writes no more records for one than so many."""
    default = call.cluster.settings.number("num.partitions")
    partitions = records = 0
    for asked in topics:
        wanted = len(asked.assignments) or (default if asked.num_partitions == DEFAULT else asked.num_partitions)
        partitions += wanted
        records += 1 + wanted + len(asked.configs)
    if partitions > MAX_PARTITIONS_AT_ONCE:
        return f"{partitions} partitions; {MAX_PARTITIONS_AT_ONCE} is the most in one request"
    if records > MAX_PARTITIONS_AT_ONCE:
        return f"{records} topics, partitions and configurations; {MAX_PARTITIONS_AT_ONCE} is the most in one request"
    return None


def _check(call: Call, asked: Asked, twice: bool) -> None:
    """Refuse what Kafka refuses before its controller hears of it."""
    call.check_faults(asked.name)
    if twice:
        raise Refused(ErrorCode.INVALID_REQUEST, "the topic is named twice")
    if asked.name == METADATA_TOPIC:
        raise Refused(ErrorCode.INVALID_REQUEST, f"{METADATA_TOPIC} is not for users")
    call.authorize_creation(asked.name)


def _passes(call: Call, asked: Asked, twice: bool) -> bool:
    """Tell whether Kafka's controller would hear of a topic."""
    try:
        _check(call, asked, twice)
    except Refused:
        return False
    return True


def _late(asked: Asked) -> Result:
    """Answer for a topic of a request that gives no time: the controller does nothing for it."""
    return Result(name=asked.name, error_code=ErrorCode.REQUEST_TIMED_OUT, error_message=None, configs=[])


def _create(call: Call, asked: Asked, twice: bool, validate_only: bool) -> Result:
    """Create one topic."""
    try:
        _check(call, asked, twice)
        plan = call.cluster.plan_topic(
            asked.name,
            asked.num_partitions,
            asked.replication_factor,
            assignments=[(one.partition_index, one.broker_ids) for one in asked.assignments],
            configs={config.name: config.value for config in asked.configs},
        )
    except Refused as refused:
        message = refused.message or refused.code.name
        return Result(name=asked.name, error_code=refused.code, error_message=message, configs=[])
    if not validate_only:
        call.cluster.create_topic(plan)
    return _created(call, plan)


def _created(call: Call, plan: Plan) -> Result:
    """Describe a topic that was created, or could be, as far as the client may know (KIP-525)."""
    if not call.may(Operation.DESCRIBE_CONFIGS, Resource.TOPIC, plan.name):
        return Result(
            name=plan.name,
            topic_id=plan.topic_id,
            error_message=None,
            topic_config_error_code=ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            configs=[],
        )
    return Result(
        name=plan.name,
        topic_id=plan.topic_id,
        error_message=None,
        num_partitions=len(plan.replicas),
        replication_factor=len(plan.replicas[0]),
        configs=[
            CreateTopicsResponse.CreatableTopicConfigs(
                name=entry.setting.name,
                value=plan.settings.texts.get(entry.setting.name, entry.text),
                config_source=entry.source,
            )
            for entry in topic_entries(plan.settings, call.cluster.configs.brokers.layers(call.node.id))
        ],
    )


def _partitions(call: Call, request: CreateTopicsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.name, 0) for asked in request.topics)


HANDLER = Handler(_handle, _partitions)
