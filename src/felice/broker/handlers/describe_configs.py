"""DescribeConfigs: what is set of topics, brokers, loggers, groups and subscriptions (KIP-133, KIP-226, KIP-569)."""

from collections.abc import Iterable
from typing import TypeAlias

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler
from felice.broker.configs.entries import Entry
from felice.broker.configs.resource import ResourceType, guarded
from felice.broker.refusal import Refused
from felice.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResponse

__all__ = ["HANDLER"]

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
        call.check_faults(asked.resource_name if asked.resource_type == ResourceType.TOPIC else None)
        resource = call.cluster.configs.of(asked.resource_type)
        call.authorize(Operation.DESCRIBE_CONFIGS, *guarded(asked.resource_type, asked.resource_name))
        name = resource.claim(asked.resource_name, call.node.id, described=True)
        entries = list(resource.entries(name, call.node.id))
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
        configs=[_entry(entry, request) for entry in entries if not wanted or entry.setting.name in wanted],
    )


def _entry(entry: Entry, request: DescribeConfigsRequest) -> ConfigEntry:
    """Return one setting as it is sent."""
    return ConfigEntry(
        name=entry.setting.name,
        value=entry.text,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=entry.sensitive,
        synonyms=[
            Synonym(name=synonym.name, value=synonym.text, source=synonym.source)
            for synonym in (entry.synonyms if request.include_synonyms else ())
        ],
        config_type=entry.setting.kind,
        documentation=entry.setting.about if request.include_documentation else None,
    )


def _partitions(call: Call, request: DescribeConfigsRequest) -> Iterable[tuple[str, int]]:
    """Give the topics' first partitions."""
    return ((asked.resource_name, 0) for asked in request.resources if asked.resource_type == ResourceType.TOPIC)


HANDLER = Handler(_handle, _partitions)
