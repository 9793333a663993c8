"""AlterClientQuotas: quotas of users, clients and addresses are set or removed (KIP-546)."""

from collections.abc import Mapping
from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.quotas import entity
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.alter_client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse

__all__ = ["HANDLER"]

Named: TypeAlias = tuple[tuple[str, str | None], ...]
Result: TypeAlias = AlterClientQuotasResponse.EntryData


def _handle(call: Call, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse:
    """Change the quotas of entities, each by itself; one that is named twice is refused once."""
    asked: dict[Named, list[Mapping[str, float | None]]] = {}
    for entry in request.entries:
        named = tuple((one.entity_type, one.entity_name) for one in entry.entity)
        asked.setdefault(named, []).append({op.key: None if op.remove else op.value for op in entry.ops})
    return AlterClientQuotasResponse(
        entries=[_alter(call, named, changes, request.validate_only) for named, changes in asked.items()]
    )


def _alter(call: Call, named: Named, changes: list[Mapping[str, float | None]], validate_only: bool) -> Result:
    """Change the quotas of one entity."""
    result = Result(
        error_message=None,
        entity=[AlterClientQuotasResponse.EntityData(entity_type=kind, entity_name=name) for kind, name in named],
    )
    try:
        call.check_faults(None)
        call.authorize(Operation.ALTER_CONFIGS, Resource.CLUSTER)
        if len(changes) > 1:
            raise Refused(ErrorCode.INVALID_REQUEST, "the entity is named twice")
        who = entity(named)
        call.cluster.quotas.check(who, changes[0].items())
        if not validate_only:
            call.cluster.quotas.change(who, changes[0].items())
    except Refused as refused:
        result.error_code, result.error_message = refused.code, refused.message or refused.code.name
    return result


HANDLER = Handler(_handle, no_partitions)
