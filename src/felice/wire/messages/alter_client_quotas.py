"""AlterClientQuotas (key 49): quotas of users, clients and addresses are set or removed (KIP-546).

A null name means the default for that entity type; what `value` holds is ignored where `remove` is set.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, float64, int16, int32, string

__all__ = ["AlterClientQuotasRequest", "AlterClientQuotasResponse"]


class AlterClientQuotasRequest(Request["AlterClientQuotasResponse"], key=49, versions="0-1", flexible="1+"):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string("0+")
            entity_name: str | None = string("0+", nullable="0+")

        class OpData(Struct):
            key: str = string("0+")
            value: float = float64("0+")
            remove: bool = boolean("0+")

        entity: list[EntityData] = array(EntityData, "0+")
        ops: list[OpData] = array(OpData, "0+")

    EntityData = Alias[EntryData.EntityData]
    OpData = Alias[EntryData.OpData]

    entries: list[EntryData] = array(EntryData, "0+")
    validate_only: bool = boolean("0+")


class AlterClientQuotasResponse(Response, answers=AlterClientQuotasRequest):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string("0+")
            entity_name: str | None = string("0+", nullable="0+")

        error_code: int = int16("0+")
        error_message: str | None = string("0+", nullable="0+")
        entity: list[EntityData] = array(EntityData, "0+")

    EntityData = Alias[EntryData.EntityData]

    throttle_time_ms: int = int32("0+")
    entries: list[EntryData] = array(EntryData, "0+")
