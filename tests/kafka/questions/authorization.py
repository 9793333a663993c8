"""Questions to a broker that has an authorizer, asked by somebody whom entries keep out.

They come from an address of their own, so that whoever made the entries can also take them back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from asking import Asker, batch, comparable
from felice.broker.authorization import Operation, Resource
from felice.wire.messages import (
    add_offsets_to_txn,
    add_partitions_to_txn,
    alter_client_quotas,
    alter_configs,
    alter_partition_reassignments,
    alter_replica_log_dirs,
    alter_user_scram_credentials,
    consumer_group_describe,
    consumer_group_heartbeat,
    create_partitions,
    delete_groups,
    delete_records,
    delete_topics,
    describe_client_quotas,
    describe_cluster,
    describe_configs,
    describe_groups,
    describe_log_dirs,
    describe_producers,
    describe_quorum,
    describe_topic_partitions,
    describe_transactions,
    describe_user_scram_credentials,
    elect_leaders,
    end_txn,
    find_coordinator,
    heartbeat,
    incremental_alter_configs,
    init_producer_id,
    join_group,
    leave_group,
    list_config_resources,
    list_groups,
    list_offsets,
    list_partition_reassignments,
    list_transactions,
    metadata,
    offset_commit,
    offset_delete,
    offset_fetch,
    offset_for_leader_epoch,
    share_group_describe,
    share_group_heartbeat,
    sync_group,
    txn_offset_commit,
    unregister_broker,
    update_features,
    write_txn_markers,
)
from felice.wire.schema import Request
from questions import acls, fetch, topics
from questions.asked import eventually, permissive
from questions.consumer_members import Band
from questions.consumer_patterns import joined
from questions.members import coordinated
from questions.share_members import Crew

DENY, ALLOW = acls.DENY, acls.ALLOW
STRANGER = "127.0.0.2"

Asked = tuple[Request[Any], int]
"""A request and its version."""


@contextmanager
def entries(asker: Asker, *made: acls.Acl) -> Iterator[Asker]:
    """Give somebody for whom entries count, while they do."""
    acls.create(asker, *made)
    for kind, name in {(one[0], one[1]) for one in made}:
        acls.seen(asker, sum((one[0], one[1]) == (kind, name) for one in made), kind=kind, name=name)
    with asker.beside(STRANGER) as stranger:
        stranger.topic_ids = asker.topic_ids
        yield stranger
    gone = [acls.filters(kind, name) for kind, name in {(one[0], one[1]) for one in made}]
    acls.delete(asker, *gone)
    for kind, name in {(one[0], one[1]) for one in made}:
        acls.seen(asker, 0, kind=kind, name=name)


def entry(name: str, kind: Resource, *operations: Operation, permission: int = DENY, **parts: Any) -> list[acls.Acl]:
    """Entries that keep the stranger from doing something with a resource, or allow it."""
    return [
        acls.acl(name, kind, principal="User:*", host=STRANGER, operation=operation, permission=permission, **parts)
        for operation in operations or (Operation.ALL,)
    ]


def cluster_entry(*operations: Operation) -> list[acls.Acl]:
    """Entries that keep the stranger from doing something with the cluster, and let everybody else do everything."""
    anybody = acls.acl("kafka-cluster", Resource.CLUSTER, principal="User:*", operation=Operation.ALL, permission=ALLOW)
    return [anybody, *entry("kafka-cluster", Resource.CLUSTER, *operations)]


def answers(asker: Asker, asked: Sequence[Asked]) -> list[Any]:
    """Ask one after the other."""
    return [(type(request).__name__, version, in_order(asker.ask(request, version))) for request, version in asked]


def in_order(answer: Any) -> Any:
    """Bring an answer into a form that can be compared; the order of what joins a transaction does not matter."""
    for results in (
        *(one.topic_results for one in getattr(answer, "results_by_transaction", ())),
        getattr(answer, "results_by_topic_v3_and_below", []),
    ):
        results.sort(key=lambda topic: topic.name)
        for topic in results:
            topic.results_by_partition.sort(key=lambda result: result.partition_index)
    return comparable(answer)


def described(asker: Asker, *names: str, version: int = 12, ids: bool = False) -> Any:
    """What Metadata says of topics, in the order of their names, or of all that are this question's."""
    answer = asker.ask(
        metadata.MetadataRequest(
            topics=[
                metadata.MetadataRequest.Topic(name=None, topic_id=asker.topic_ids[name])
                if ids
                else metadata.MetadataRequest.Topic(name=name)
                for name in names
            ]
            or None,
            allow_auto_topic_creation=True,
            include_topic_authorized_operations=version >= 8,
        ),
        version,
    )
    own = asker.name().rpartition("-")[0]
    found = [topic for topic in answer.topics if names or topic.name.startswith(own)]
    return sorted((comparable(topic) for topic in found), key=lambda topic: (str(topic["name"]), topic["error_code"]))


def about(name: str, topic_id: bytes) -> list[Asked]:
    """What can be asked of a topic, but for records."""
    config = {"resource_type": 2, "resource_name": name}
    return [
        *((list_offsets.ListOffsetsRequest(replica_id=-1, topics=[
            list_offsets.ListOffsetsRequest.ListOffsetsTopic(name=name, partitions=[
                list_offsets.ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)])]), version)
            for version in (1, 7)),
        (offset_for_leader_epoch.OffsetForLeaderEpochRequest(replica_id=-1, topics=[
            offset_for_leader_epoch.OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=name, partitions=[
                offset_for_leader_epoch.OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
                    partition=0, leader_epoch=0)])]), 4),
        (delete_records.DeleteRecordsRequest(timeout_ms=1000, topics=[
            delete_records.DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[
                delete_records.DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=0)])]), 2),
        (create_partitions.CreatePartitionsRequest(timeout_ms=1000, topics=[
            create_partitions.CreatePartitionsRequest.CreatePartitionsTopic(name=name, count=1)]), 3),
        (describe_configs.DescribeConfigsRequest(resources=[
            describe_configs.DescribeConfigsRequest.DescribeConfigsResource(
                **config, configuration_keys=["retention.ms"])]), 4),
        (alter_configs.AlterConfigsRequest(resources=[
            alter_configs.AlterConfigsRequest.AlterConfigsResource(**config)]), 2),
        (incremental_alter_configs.IncrementalAlterConfigsRequest(resources=[
            incremental_alter_configs.IncrementalAlterConfigsRequest.AlterConfigsResource(**config)]), 1),
        (describe_topic_partitions.DescribeTopicPartitionsRequest(topics=[
            describe_topic_partitions.DescribeTopicPartitionsRequest.TopicRequest(name=name)]), 0),
        (describe_producers.DescribeProducersRequest(topics=[
            describe_producers.DescribeProducersRequest.TopicRequest(name=name, partition_indexes=[0])]), 0),
        *((delete_topics.DeleteTopicsRequest(timeout_ms=1000, topics=[
            delete_topics.DeleteTopicsRequest.DeleteTopicState(name=asked, topic_id=known)], topic_names=[]), 6)
            for asked, known in ((name, bytes(16)), (None, topic_id))),
    ]  # fmt: skip


@permissive
def topics_that_are_kept_from_somebody(asker: Asker) -> Any:
    """All of a topic but one operation at a time, and all of it, in all that is asked of topics."""
    told = []
    for denied in ((Operation.ALL,), (Operation.DESCRIBE,), (Operation.READ, Operation.WRITE, Operation.DELETE)):
        name, other = asker.topic(), asker.topic()
        with entries(asker, *entry(name, Resource.TOPIC, *denied)) as stranger:
            told += [described(stranger, version=version) for version in (1, 12)]
            told += [described(stranger, name, other, f"{name}-x", version=version) for version in (1, 8, 12)]
            told += [described(stranger, name, other, ids=True)]
            told += [comparable(stranger.produce(name, batch(b"a"), version=version)) for version in (3, 9, 13)]
            told += [comparable(stranger.produce(name, batch(b"a"), partition=7))]
            told += [stranger.produce(name, batch(b"a"), acks=0)]
            told += [
                comparable(fetch.fetch(stranger, name, (0, 0), (7, 0), version=version)) for version in (4, 12, 13)
            ]
            told += answers(stranger, about(name, asker.topic_ids[name]))
            told += answers(stranger, about(f"{name}-x", bytes(15) + b"x"))
    return told


@permissive
def topics_that_are_allowed_by_prefix(asker: Asker) -> Any:
    """Reading some and nothing else: it implies that they may be described, and more specific entries take it away."""
    told = []
    name = asker.topic()
    reading = entry(name[:-1], Resource.TOPIC, Operation.READ, permission=ALLOW, pattern=acls.PREFIXED)
    with entries(asker, *reading) as stranger:
        told += [described(who, name, f"{name}-x") for who in (stranger, asker)]
        told += [comparable(stranger.produce(name, batch(b"a"))), comparable(fetch.fetch(stranger, name, (0, 0)))]
        told += answers(stranger, about(name, asker.topic_ids[name]))
        with entries(asker, *entry(name, Resource.TOPIC, Operation.DESCRIBE)) as stranger:
            told += [described(stranger, name), comparable(fetch.fetch(stranger, name, (0, 0)))]
    return told


@permissive
def an_expression_finds_what_may_be_described(asker: Asker) -> Any:
    """A topic that is hidden from the member is none; others of the same mind find what it found."""
    group, name, hidden = asker.name(), asker.topic(), asker.topic()
    pattern = name[: name.rindex("-")] + "-[0-9]+"
    shown = acls.acl(hidden, Resource.TOPIC, principal="User:*", operation=Operation.ALL, permission=ALLOW)
    with entries(asker, shown, *entry(hidden, Resource.TOPIC, Operation.DESCRIBE)) as stranger:
        band = Band(stranger, group)
        told = [joined(band, "a", pattern)]
        eventually(lambda: band.described()["epochs"][0] > 1)
        told += [band.settle("a"), band.described()]
        told += [joined(Band(asker, group), "b", pattern), band.described()["epochs"]]
    return told


@permissive
def topics_that_may_not_be_created(asker: Asker) -> Any:
    """By name or as all that is in the cluster; and those whose configurations may not be known."""
    told = []
    one, two, three = asker.name(), asker.name(), asker.name()
    with entries(asker, *cluster_entry(Operation.CREATE), *entry(one, Resource.TOPIC, Operation.CREATE)) as stranger:
        told.append(topics.create(stranger, topics.creatable(one), topics.creatable(two), check=True))
        told.append(described(stranger, one))
    with entries(asker, *entry(three, Resource.TOPIC, Operation.DESCRIBE_CONFIGS)) as stranger:
        told.append(topics.create(stranger, topics.creatable(three, 2), check=True))
    return told


def of_group(group: str, topic: str, topic_id: bytes) -> list[Asked]:
    """What can be asked of a group."""
    commit, wanted = offset_commit.OffsetCommitRequest, offset_fetch.OffsetFetchRequest
    offset = commit.Topic.Partition(partition_index=0, committed_offset=0)
    groups = [wanted.Group(group_id=group, topics=some) for some in (
        None, [wanted.Group.Topics(name=topic, topic_id=topic_id, partition_indexes=[0])])]  # fmt: skip
    return [
        (join_group.JoinGroupRequest(group_id=group, session_timeout_ms=1, protocol_type="consumer"), 5),
        (sync_group.SyncGroupRequest(group_id=group, generation_id=1, member_id="m"), 3),
        (heartbeat.HeartbeatRequest(group_id=group, generation_id=1, member_id="m"), 4),
        *((leave_group.LeaveGroupRequest(group_id=group, member_id="" if version > 2 else "m", members=[
            leave_group.LeaveGroupRequest.MemberIdentity(member_id="m")] if version > 2 else []), version)
            for version in (1, 5)),
        *((commit(group_id=group, topics=[commit.Topic(name=topic, topic_id=topic_id, partitions=[offset])]), version)
            for version in (2, 9, 10)),
        *((wanted(group_id=group, topics=[wanted.Topic(name=topic, partition_indexes=[0])]), version)
            for version in (1, 7)),
        *((wanted(groups=groups), version) for version in (8, 10)),
        (offset_delete.OffsetDeleteRequest(group_id=group, topics=[offset_delete.OffsetDeleteRequest.Topic(
            name=topic, partitions=[offset_delete.OffsetDeleteRequest.Topic.Partition(partition_index=0)])]), 0),
        *((describe_groups.DescribeGroupsRequest(
            groups=[group], include_authorized_operations=version > 2), version) for version in (0, 5, 6)),
        (consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(group_id=group, member_id="m", member_epoch=7,
            subscribed_topic_names=[topic]), 0),
        (consumer_group_describe.ConsumerGroupDescribeRequest(
            group_ids=[group], include_authorized_operations=True), 1),
        *((find_coordinator.FindCoordinatorRequest(**keys), version)
            for keys, version in (({"key": group}, 1), ({"coordinator_keys": [group]}, 4))),
        (share_group_heartbeat.ShareGroupHeartbeatRequest(group_id=group, member_id="m", member_epoch=7,
            subscribed_topic_names=[topic]), 1),
        (share_group_heartbeat.ShareGroupHeartbeatRequest(group_id=group, subscribed_topic_names=[topic]), 1),
        (share_group_describe.ShareGroupDescribeRequest(group_ids=[group], include_authorized_operations=True), 1),
        (delete_groups.DeleteGroupsRequest(groups_names=[group]), 2),
    ]  # fmt: skip


@permissive
def groups_that_are_kept_from_somebody(asker: Asker) -> Any:
    """All of a group, reading it, deleting it; and a topic that its offsets are of."""
    told = []
    topic = asker.topic()
    topic_id = asker.topic_ids[topic]
    for denied in (Operation.ALL, Operation.READ, Operation.DESCRIBE, Operation.DELETE):
        group = coordinated(asker, asker.name())
        asker.ask(of_group(group, topic, topic_id)[6][0], 9)
        with entries(asker, *entry(group, Resource.GROUP, denied)) as stranger:
            told += answers(stranger, of_group(group, topic, topic_id))
            listed = stranger.ask(list_groups.ListGroupsRequest(), 4).groups
            told.append(group in [found.group_id for found in listed])
    for denied in (Operation.READ, Operation.DESCRIBE):
        group = coordinated(asker, asker.name())
        asker.ask(of_group(group, topic, topic_id)[6][0], 9)
        with entries(asker, *entry(topic, Resource.TOPIC, denied)) as stranger:
            told += answers(stranger, of_group(group, topic, topic_id))
    return told


@permissive
def groups_with_topics_that_are_kept_from_somebody(asker: Asker) -> Any:
    """Members have a topic that not everybody may describe."""
    group, topic = coordinated(asker, asker.name()), asker.topic()
    beat = consumer_group_heartbeat.ConsumerGroupHeartbeatRequest(
        group_id=group, member_id="m", member_epoch=0, rebalance_timeout_ms=10_000, subscribed_topic_names=[topic],
        topic_partitions=[],
    )  # fmt: skip
    described = consumer_group_describe.ConsumerGroupDescribeRequest(group_ids=[group])
    # Real Kafka's coordinator may not know of the topic yet, and looks again when a member reports.
    eventually(lambda: bool(asker.ask(beat, 1).assignment.topic_partitions))
    with entries(asker, *entry(topic, Resource.TOPIC, Operation.DESCRIBE)) as stranger:
        told = comparable(stranger.ask(described, 1))
    beat.member_epoch = -1
    return [told, asker.ask(beat, 1).error_code]


@permissive
def share_groups_with_topics_that_are_kept_from_somebody(asker: Asker) -> Any:
    """Members have a topic that not everybody may describe, and another one that they may not read about any more."""
    topic = asker.topic()
    crew = Crew(asker)
    crew.join("m", topic)
    crew.settle("m", partitions=1)
    described = share_group_describe.ShareGroupDescribeRequest(group_ids=[crew.id])
    beat = share_group_heartbeat.ShareGroupHeartbeatRequest(
        group_id=crew.id, member_id="m", member_epoch=crew.epochs["m"]
    )
    with entries(asker, *entry(topic, Resource.TOPIC, Operation.DESCRIBE)) as stranger:
        told = [comparable(stranger.ask(described, 1)), comparable(stranger.ask(beat, 1))]
    return [*told, crew.leave("m")]


def of_transaction(name: str, group: str, topic: str) -> list[Asked]:
    """What can be asked of a transactional ID, for a producer that nobody has."""
    add, stage = add_partitions_to_txn.AddPartitionsToTxnRequest, txn_offset_commit.TxnOffsetCommitRequest
    who = {"transactional_id": name, "producer_id": 1 << 40, "producer_epoch": 0}
    three = {f"v3_and_below_{key}": value for key, value in who.items()}
    joining = add.AddPartitionsToTxnTransaction.AddPartitionsToTxnTopic
    some = [joining(name=topic, partitions=[0, 9]), joining(name=f"{topic}-x", partitions=[0])]
    offset = stage.Topic.Partition(partition_index=0, committed_offset=0)
    return [
        *((add(v3_and_below_topics=topics, **three), 3) for topics in (some, some[1:])),
        (add(transactions=[add.AddPartitionsToTxnTransaction(**who, topics=some)]), 4),
        (add_offsets_to_txn.AddOffsetsToTxnRequest(**who, group_id=group), 3),
        *((stage(**who, group_id=group, topics=[stage.Topic(name=one, partitions=[offset])
            for one in (topic, f"{topic}-x")]), version) for version in (0, 3)),
        *((end_txn.EndTxnRequest(**who, committed=True), version) for version in (1, 5)),
        (describe_transactions.DescribeTransactionsRequest(transactional_ids=[name]), 0),
        *((find_coordinator.FindCoordinatorRequest(**keys, key_type=1), version)
            for keys, version in (({"key": name}, 1), ({"coordinator_keys": [name]}, 4))),
        (find_coordinator.FindCoordinatorRequest(coordinator_keys=["g:AAAAAAAAAAAAAAAAAAAAAA:0"], key_type=2), 5),
        (init_producer_id.InitProducerIdRequest(transactional_id=name, transaction_timeout_ms=0), 4),
    ]  # fmt: skip


@permissive
def transactions_that_are_kept_from_somebody(asker: Asker) -> Any:
    """A transactional ID, a group, a topic, and the operations between brokers."""
    told = []
    topic, group = asker.topic(), asker.name()
    coordinated(asker, group)
    for kind, denied in (
        (Resource.TRANSACTIONAL_ID, Operation.ALL), (Resource.TRANSACTIONAL_ID, Operation.WRITE),
        (Resource.TRANSACTIONAL_ID, Operation.DESCRIBE), (Resource.GROUP, Operation.READ),
        (Resource.TOPIC, Operation.WRITE), (Resource.TOPIC, Operation.READ),
    ):  # fmt: skip
        name = asker.name()
        writer = asker.transactional_producer(name)
        resource = {Resource.TRANSACTIONAL_ID: name, Resource.GROUP: group, Resource.TOPIC: topic}[kind]
        with entries(asker, *entry(resource, kind, denied)) as stranger:
            told += answers(stranger, of_transaction(name, group, topic))
            records = batch(b"a", attributes=16, producer=(*writer, 0))
            told.append(comparable(stranger.produce(topic, records, transactional_id=name)))
            listed = stranger.ask(list_transactions.ListTransactionsRequest(), 1).transaction_states
            told.append(name in [found.transactional_id for found in listed])
    return told


@permissive
def producers_that_may_write_nowhere(asker: Asker) -> Any:
    """An idempotent producer needs a topic to write to, or the operation of old."""
    request = init_producer_id.InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)
    asker.producer_id()
    told = []
    nowhere = entry("*", Resource.TOPIC, Operation.WRITE)
    with entries(asker, *nowhere) as stranger:
        told += answers(stranger, [(request, 4)])
    with entries(asker, *nowhere, *cluster_entry(Operation.IDEMPOTENT_WRITE)) as stranger:
        told += answers(stranger, [(request, 4)])
    for beside in (
        entry("q", Resource.TOPIC, Operation.WRITE), entry("qq", Resource.TOPIC, Operation.WRITE),
        entry("q", Resource.TOPIC, Operation.WRITE, pattern=acls.PREFIXED),
        entry("z", Resource.TOPIC, Operation.WRITE, pattern=acls.PREFIXED),
    ):  # fmt: skip
        # Were nobody else allowed what nobody is denied, the entry for `*` would keep the asker out, too.
        some = acls.acl("qq", Resource.TOPIC, principal="User:*", operation=Operation.WRITE, permission=ALLOW)
        all_read = acls.acl("*", Resource.TOPIC, principal="User:*", operation=Operation.READ, permission=ALLOW)
        with entries(asker, some, all_read, *beside, *cluster_entry(Operation.IDEMPOTENT_WRITE)) as stranger:
            told += answers(stranger, [(request, 4)])
    return told


def of_cluster(topic: str, node: int) -> list[Asked]:
    """What can be asked of the cluster, as far as it does no harm where it is allowed."""
    quota = alter_client_quotas.AlterClientQuotasRequest.EntryData
    markers, dirs = write_txn_markers.WriteTxnMarkersRequest, alter_replica_log_dirs.AlterReplicaLogDirsRequest
    moves = alter_partition_reassignments.AlterPartitionReassignmentsRequest.ReassignableTopic
    return [
        *((describe_cluster.DescribeClusterRequest(include_cluster_authorized_operations=True), version)
            for version in (0, 2)),
        (metadata.MetadataRequest(topics=[], include_cluster_authorized_operations=True), 8),
        *((elect_leaders.ElectLeadersRequest(topic_partitions=[
            elect_leaders.ElectLeadersRequest.TopicPartitions(topic=topic, partitions=[0, 9])]), version)
            for version in (0, 2)),
        (alter_partition_reassignments.AlterPartitionReassignmentsRequest(topics=[moves(name=topic, partitions=[
            moves.ReassignablePartition(partition_index=9, replicas=[node])])]), 0),
        (list_partition_reassignments.ListPartitionReassignmentsRequest(topics=None), 0),
        (alter_replica_log_dirs.AlterReplicaLogDirsRequest(dirs=[dirs.AlterReplicaLogDir(path="/nowhere", topics=[
            dirs.AlterReplicaLogDir.AlterReplicaLogDirTopic(name=topic, partitions=[0])])]), 2),
        (describe_log_dirs.DescribeLogDirsRequest(topics=[]), 4),
        (alter_client_quotas.AlterClientQuotasRequest(validate_only=True, entries=[quota(
            entity=[quota.EntityData(entity_type="user", entity_name="q")],
            ops=[quota.OpData(key="producer_byte_rate", value=1.0)])]), 1),
        (describe_client_quotas.DescribeClientQuotasRequest(components=[
            describe_client_quotas.DescribeClientQuotasRequest.ComponentData(
                entity_type="user", match_type=0, match="nobody")]), 1),
        (alter_user_scram_credentials.AlterUserScramCredentialsRequest(deletions=[
            alter_user_scram_credentials.AlterUserScramCredentialsRequest.ScramCredentialDeletion(
                name="nobody", mechanism=1)]), 0),
        (describe_user_scram_credentials.DescribeUserScramCredentialsRequest(users=[
            describe_user_scram_credentials.DescribeUserScramCredentialsRequest.UserName(name="nobody")]), 0),
        *((update_features.UpdateFeaturesRequest(validate_only=version > 0, feature_updates=[
            update_features.UpdateFeaturesRequest.FeatureUpdateKey(feature="nothing", max_version_level=1)]), version)
            for version in (1, 2)),
        (unregister_broker.UnregisterBrokerRequest(broker_id=99), 0),
        (list_config_resources.ListConfigResourcesRequest(resource_types=[16]), 1),
        (write_txn_markers.WriteTxnMarkersRequest(markers=[markers.WritableTxnMarker(
            producer_id=1, producer_epoch=0, transaction_result=True, coordinator_epoch=0,
            topics=[markers.WritableTxnMarker.WritableTxnMarkerTopic(name=f"{topic}-x", partition_indexes=[0])])]), 1),
        (add_partitions_to_txn.AddPartitionsToTxnRequest(transactions=[]), 4),
        (find_coordinator.FindCoordinatorRequest(coordinator_keys=["g:AAAAAAAAAAAAAAAAAAAAAA:0", "?"], key_type=2), 6),
        *((describe_configs.DescribeConfigsRequest(resources=[
            describe_configs.DescribeConfigsRequest.DescribeConfigsResource(
                resource_type=kind, resource_name=name, configuration_keys=["log.retention.ms"])]), 4)
            for kind, name in ((4, str(node)), (4, ""), (16, "q"), (32, "q"))),
        *((incremental_alter_configs.IncrementalAlterConfigsRequest(validate_only=True, resources=[
            incremental_alter_configs.IncrementalAlterConfigsRequest.AlterConfigsResource(
                resource_type=kind, resource_name=name)]), 1)
            for kind, name in ((4, str(node)), (4, ""), (16, "q"), (32, "q"))),
        (alter_configs.AlterConfigsRequest(validate_only=True, resources=[
            alter_configs.AlterConfigsRequest.AlterConfigsResource(resource_type=4, resource_name=str(node))]), 2),
    ]  # fmt: skip


@permissive
def a_cluster_that_is_kept_from_somebody(asker: Asker) -> Any:
    """All that can be done with it, and who keeps others out."""
    topic = asker.topic()
    with entries(asker, *cluster_entry(Operation.ALL)) as stranger:
        told = answers(stranger, of_cluster(topic, 1))
        told.append(comparable(stranger.ask(describe_quorum.DescribeQuorumRequest(topics=[]), 2)))
        told.append(acls.create(stranger, acls.acl(topic), acls.acl("")))
        told.append(acls.describe(stranger, kind=Resource.TOPIC, name=topic))
        told.append(acls.delete(stranger, acls.filters(Resource.TOPIC, topic)))
    return told


@permissive
def a_cluster_of_which_somebody_may_do_much(asker: Asker) -> Any:
    """What is denied is no more than is said, and whoever may describe all groups may list them."""
    topic, group = asker.topic(), coordinated(asker, asker.name())
    asker.ask(of_group(group, topic, asker.topic_ids[topic])[6][0], 9)
    told = []
    for denied in ((Operation.ALTER,), (Operation.DESCRIBE,), (Operation.DESCRIBE_CONFIGS, Operation.CLUSTER_ACTION)):
        with entries(asker, *cluster_entry(*denied), *entry(group, Resource.GROUP)) as stranger:
            told += answers(stranger, of_cluster(topic, 1)[2:6])
            told += [
                comparable(stranger.ask(*one)) for one in of_cluster(topic, 1) if "WriteTxn" in type(one[0]).__name__
            ]
            listed = stranger.ask(list_groups.ListGroupsRequest(), 4).groups
            told.append(group in [found.group_id for found in listed])
    return told
