"""DescribeClientQuotas (key 48): quotas of users, clients and addresses (KIP-546).

Entity types are `user`, `client-id` and `ip`. The match type is 0 for a name, 1 for the default, 2 for any that is
specified; only a strict filter keeps out what has entity types besides. A null list of entries comes with an error.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, float64, int8, int16, int32, string

__all__ = ["DescribeClientQuotasRequest", "DescribeClientQuotasResponse"]


class DescribeClientQuotasRequest(Request["DescribeClientQuotasResponse"], key=48, versions="0-1", flexible="1+"):
    class ComponentData(Struct):
        entity_type: str = string("0+")
        match_type: int = int8("0+")
        match: str | None = string("0+", nullable="0+")

    components: list[ComponentData] = array(ComponentData, "0+")
    strict: bool = boolean("0+")


class DescribeClientQuotasResponse(Response, answers=DescribeClientQuotasRequest):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string("0+")
            entity_name: str | None = string("0+", nullable="0+")

        class ValueData(Struct):
            key: str = string("0+")
            value: float = float64("0+")

        entity: list[EntityData] = array(EntityData, "0+")
        values: list[ValueData] = array(ValueData, "0+")

    EntityData = Alias[EntryData.EntityData]
    ValueData = Alias[EntryData.ValueData]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+")
    entries: list[EntryData] | None = array(EntryData, "0+", nullable="0+")
