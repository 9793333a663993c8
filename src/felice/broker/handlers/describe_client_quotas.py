"""DescribeClientQuotas: quotas of users, clients and addresses (KIP-546)."""

from felice.broker.authorization import REFUSALS, Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.quotas import Component
from felice.broker.refusal import Refused
from felice.wire.messages.describe_client_quotas import DescribeClientQuotasRequest, DescribeClientQuotasResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: DescribeClientQuotasRequest) -> DescribeClientQuotasResponse:
    """Describe the quotas that a filter means."""
    components = [Component(asked.entity_type, asked.match_type, asked.match) for asked in request.components]
    try:
        call.check_faults(None)
        call.authorize(Operation.DESCRIBE_CONFIGS, Resource.CLUSTER)
        found = call.cluster.quotas.find(components, strict=request.strict)
    except Refused as refused:
        message = None if refused.code in REFUSALS.values() else refused.message or refused.code.name
        return DescribeClientQuotasResponse(error_code=refused.code, error_message=message, entries=None)
    return DescribeClientQuotasResponse(
        error_message="",
        entries=[
            DescribeClientQuotasResponse.EntryData(
                entity=[
                    DescribeClientQuotasResponse.EntityData(entity_type=kind, entity_name=name) for kind, name in who
                ],
                values=[DescribeClientQuotasResponse.ValueData(key=key, value=value) for key, value in values.items()],
            )
            for who, values in found
        ],
    )


HANDLER = Handler(_handle, no_partitions)
