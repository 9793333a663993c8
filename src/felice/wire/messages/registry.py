"""All requests that are written down, by their API key. A module is imported when its request is asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from felice.wire.schema import Request

__all__ = ["API_NAMES", "REQUESTS"]

_MODULES = {
    0: ("Produce", "produce"),
    1: ("Fetch", "fetch"),
    2: ("ListOffsets", "list_offsets"),
    3: ("Metadata", "metadata"),
    8: ("OffsetCommit", "offset_commit"),
    9: ("OffsetFetch", "offset_fetch"),
    10: ("FindCoordinator", "find_coordinator"),
    11: ("JoinGroup", "join_group"),
    12: ("Heartbeat", "heartbeat"),
    13: ("LeaveGroup", "leave_group"),
    14: ("SyncGroup", "sync_group"),
    15: ("DescribeGroups", "describe_groups"),
    16: ("ListGroups", "list_groups"),
    17: ("SaslHandshake", "sasl_handshake"),
    18: ("ApiVersions", "api_versions"),
    19: ("CreateTopics", "create_topics"),
    20: ("DeleteTopics", "delete_topics"),
    21: ("DeleteRecords", "delete_records"),
    22: ("InitProducerId", "init_producer_id"),
    23: ("OffsetForLeaderEpoch", "offset_for_leader_epoch"),
    24: ("AddPartitionsToTxn", "add_partitions_to_txn"),
    25: ("AddOffsetsToTxn", "add_offsets_to_txn"),
    26: ("EndTxn", "end_txn"),
    27: ("WriteTxnMarkers", "write_txn_markers"),
    28: ("TxnOffsetCommit", "txn_offset_commit"),
    29: ("DescribeAcls", "describe_acls"),
    30: ("CreateAcls", "create_acls"),
    31: ("DeleteAcls", "delete_acls"),
    32: ("DescribeConfigs", "describe_configs"),
    33: ("AlterConfigs", "alter_configs"),
    34: ("AlterReplicaLogDirs", "alter_replica_log_dirs"),
    35: ("DescribeLogDirs", "describe_log_dirs"),
    36: ("SaslAuthenticate", "sasl_authenticate"),
    37: ("CreatePartitions", "create_partitions"),
    38: ("CreateDelegationToken", "create_delegation_token"),
    39: ("RenewDelegationToken", "renew_delegation_token"),
    40: ("ExpireDelegationToken", "expire_delegation_token"),
    41: ("DescribeDelegationToken", "describe_delegation_token"),
    42: ("DeleteGroups", "delete_groups"),
    43: ("ElectLeaders", "elect_leaders"),
    44: ("IncrementalAlterConfigs", "incremental_alter_configs"),
    45: ("AlterPartitionReassignments", "alter_partition_reassignments"),
    46: ("ListPartitionReassignments", "list_partition_reassignments"),
    47: ("OffsetDelete", "offset_delete"),
    48: ("DescribeClientQuotas", "describe_client_quotas"),
    49: ("AlterClientQuotas", "alter_client_quotas"),
    50: ("DescribeUserScramCredentials", "describe_user_scram_credentials"),
    51: ("AlterUserScramCredentials", "alter_user_scram_credentials"),
    55: ("DescribeQuorum", "describe_quorum"),
    57: ("UpdateFeatures", "update_features"),
    60: ("DescribeCluster", "describe_cluster"),
    61: ("DescribeProducers", "describe_producers"),
    64: ("UnregisterBroker", "unregister_broker"),
    65: ("DescribeTransactions", "describe_transactions"),
    66: ("ListTransactions", "list_transactions"),
    68: ("ConsumerGroupHeartbeat", "consumer_group_heartbeat"),
    69: ("ConsumerGroupDescribe", "consumer_group_describe"),
    71: ("GetTelemetrySubscriptions", "get_telemetry_subscriptions"),
    72: ("PushTelemetry", "push_telemetry"),
    74: ("ListConfigResources", "list_config_resources"),
    75: ("DescribeTopicPartitions", "describe_topic_partitions"),
    76: ("ShareGroupHeartbeat", "share_group_heartbeat"),
    77: ("ShareGroupDescribe", "share_group_describe"),
    78: ("ShareFetch", "share_fetch"),
    79: ("ShareAcknowledge", "share_acknowledge"),
    80: ("AddRaftVoter", "add_raft_voter"),
    81: ("RemoveRaftVoter", "remove_raft_voter"),
    83: ("InitializeShareGroupState", "initialize_share_group_state"),
    84: ("ReadShareGroupState", "read_share_group_state"),
    85: ("WriteShareGroupState", "write_share_group_state"),
    86: ("DeleteShareGroupState", "delete_share_group_state"),
    87: ("ReadShareGroupStateSummary", "read_share_group_state_summary"),
    88: ("StreamsGroupHeartbeat", "streams_group_heartbeat"),
    89: ("StreamsGroupDescribe", "streams_group_describe"),
    90: ("DescribeShareGroupOffsets", "describe_share_group_offsets"),
    91: ("AlterShareGroupOffsets", "alter_share_group_offsets"),
    92: ("DeleteShareGroupOffsets", "delete_share_group_offsets"),
}

API_NAMES: Mapping[int, str] = {key: name for key, (name, _) in _MODULES.items()}
"""Kafka's names of these APIs, by key."""


class _Requests(Mapping[int, type[Request[Any]]]):
    """The requests' classes, loaded one by one."""

    def __init__(self) -> None:
        self._loaded: dict[int, type[Request[Any]]] = {}

    def __getitem__(self, key: int) -> type[Request[Any]]:
        """Return the request with this API key; `KeyError` where none is written down."""
        found = self._loaded.get(key)
        if found is None:
            name, module = _MODULES[key]
            found = getattr(import_module(f"felice.wire.messages.{module}"), f"{name}Request")
            self._loaded[key] = found
        return found

    def __contains__(self, key: object) -> bool:
        """Tell whether a request is written down, without loading it."""
        return key in _MODULES

    def __iter__(self) -> Iterator[int]:
        """Give the keys, without loading anything."""
        return iter(_MODULES)

    def __len__(self) -> int:
        """Return how many requests are written down."""
        return len(_MODULES)


REQUESTS: Mapping[int, type[Request[Any]]] = _Requests()
"""The requests' classes by API key; `REQUESTS[3].response` is the class of the response."""
