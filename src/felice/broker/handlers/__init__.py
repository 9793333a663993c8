"""One module per API that the broker answers."""

from collections.abc import Mapping

from felice.broker.call import Handler
from felice.broker.handlers import (
    api_versions,
    create_topics,
    delete_records,
    delete_topics,
    describe_configs,
    fetch,
    find_coordinator,
    init_producer_id,
    list_offsets,
    metadata,
    offset_for_leader_epoch,
    produce,
)

__all__ = ["HANDLERS"]

HANDLERS: Mapping[int, Handler] = {
    0: produce.HANDLER,
    1: fetch.HANDLER,
    2: list_offsets.HANDLER,
    3: metadata.HANDLER,
    10: find_coordinator.HANDLER,
    api_versions.KEY: api_versions.HANDLER,
    19: create_topics.HANDLER,
    20: delete_topics.HANDLER,
    21: delete_records.HANDLER,
    22: init_producer_id.HANDLER,
    23: offset_for_leader_epoch.HANDLER,
    32: describe_configs.HANDLER,
}
"""The handlers by API key."""
