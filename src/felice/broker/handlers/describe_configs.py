"""DescribeConfigs for topics and brokers (KIP-133, KIP-226, KIP-569)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.call import Call, Handler
from felice.broker.config_entries import Entry, broker_entries, topic_entries
from felice.broker.refusal import Refused
from felice.broker.topics import check_name
from felice.errors import ErrorCode
from felice.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResponse

__all__ = ["HANDLER"]

TOPIC = 2
BROKER = 4

Asked: TypeAlias = DescribeConfigsRequest.DescribeConfigsResource
Result: TypeAlias = DescribeConfigsResponse.DescribeConfigsResult
ConfigEntry: TypeAlias = DescribeConfigsResponse.DescribeConfigsResourceResult
Synonym: TypeAlias = DescribeConfigsResponse.DescribeConfigsSynonym


def _handle(call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse:
    """Describe the resources that are asked for."""
    return DescribeConfigsResponse(results=[_describe(call, request, asked) for asked in request.resources])


def _describe(call: Call, request: DescribeConfigsRequest, asked: Asked) -> Result:
    """Describe one resource."""
    try:
        entries = _topic(call, asked.resource_name) if asked.resource_type == TOPIC else _broker(call, asked)
    except Refused as refused:
        return Result(
            error_code=refused.code,
            error_message=refused.message or "",
            resource_type=asked.resource_type,
            resource_name=asked.resource_name,
        )
    wanted = asked.configuration_keys
    return Result(
        error_message="",
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=[
            _entry(entry, asked.resource_type == BROKER, request)
            for entry in entries
            if not wanted or entry.setting.name in wanted
        ],
    )


def _topic(call: Call, name: str) -> Iterable[Entry]:
    """Return the settings of a topic."""
    call.check_faults(name)
    check_name(name)
    topic = call.cluster.topics.get(name)
    if topic is None:
        raise Refused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return topic_entries(topic.settings, call.cluster.settings)


def _broker(call: Call, asked: Asked) -> Iterable[Entry]:
    """Return the settings of the broker that is asked; it knows its own only.

    No name stands for what is set for all brokers while they run (KIP-226): here nothing is.
    """
    call.check_faults(None)
    if asked.resource_type != BROKER:
        raise Refused(ErrorCode.INVALID_REQUEST, f"nothing is known of resource type {asked.resource_type}")
    if not asked.resource_name:
        return ()
    if asked.resource_name != str(call.node.id):
        raise Refused(ErrorCode.INVALID_REQUEST, f"this is broker {call.node.id}, not {asked.resource_name!r}")
    return broker_entries(call.cluster.settings)


def _entry(entry: Entry, read_only: bool, request: DescribeConfigsRequest) -> ConfigEntry:
    """Return one setting as it is sent."""
    return ConfigEntry(
        name=entry.setting.name,
        value=entry.text,
        read_only=read_only,
        config_source=entry.source,
        synonyms=[
            Synonym(name=synonym.name, value=synonym.text, source=synonym.source)
            for synonym in (entry.synonyms if request.include_synonyms else ())
        ],
        config_type=entry.setting.kind,
        documentation=entry.setting.about if request.include_documentation else None,
    )


def _partitions(call: Call, request: DescribeConfigsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.resource_name, 0) for asked in request.resources if asked.resource_type == TOPIC)


HANDLER = Handler(_handle, _partitions)
