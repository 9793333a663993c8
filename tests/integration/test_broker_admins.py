"""Admin clients that nobody here wrote set up the embedded broker, and see what they did."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from felice.broker import Broker

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+_text is deprecated")  # kafka-python, when it is imported

TIMEOUT = 20.0
AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Three nodes that keep access control entries, and let their user do everything."""
    with Broker({"letters": 2}, nodes=3, configs=AUTHORIZER) as broker:
        yield broker


@pytest.fixture
def confluent(broker: Broker) -> Any:
    """The admin client of confluent-kafka, that is, librdkafka's."""
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


@pytest.fixture
def python(broker: Broker) -> Iterator[Any]:
    """The admin client of kafka-python."""
    from kafka.admin import KafkaAdminClient

    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    yield client
    client.close()


def results(futures: dict[Any, Any]) -> dict[Any, Any]:
    """Return what confluent-kafka's futures bring."""
    return {key: future.result(TIMEOUT) for key, future in futures.items()}


# --- confluent-kafka ---


def test_confluent_makes_topics_and_lets_them_grow(broker: Broker, confluent: Any) -> None:
    """With configurations and replicas, more partitions, and away again."""
    from confluent_kafka.admin import NewPartitions, NewTopic

    results(confluent.create_topics([NewTopic("parcels", 2, 3, config={"retention.ms": "5"})]))
    assert broker.topic_configs("parcels") == {"retention.ms": "5"}
    results(confluent.create_partitions([NewPartitions("parcels", 4)]))
    assert broker.topics == {"letters": 2, "parcels": 4}
    results(confluent.delete_topics(["parcels"]))
    assert broker.topics == {"letters": 2}


def test_confluent_changes_configs(broker: Broker, confluent: Any) -> None:
    """Incrementally, and describes them with their sources."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource

    changes = [
        ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND),
        ConfigEntry("retention.ms", "7", incremental_operation=AlterConfigOpType.SET),
    ]
    resource = ConfigResource(ConfigResource.Type.TOPIC, "letters", incremental_configs=changes)
    results(confluent.incremental_alter_configs([resource]))
    assert broker.topic_configs("letters") == {"cleanup.policy": "delete,compact", "retention.ms": "7"}
    (described,) = results(confluent.describe_configs([resource])).values()
    assert described["retention.ms"].value == "7"
    assert described["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert described["segment.ms"].is_default


def test_confluent_describes_brokers(broker: Broker, confluent: Any) -> None:
    """Each broker describes itself: what cannot change is read-only, and passwords are hidden."""
    from confluent_kafka.admin import ConfigResource

    (described,) = results(confluent.describe_configs([ConfigResource(ConfigResource.Type.BROKER, "2")])).values()
    assert described["node.id"].value == "2"
    assert described["node.id"].is_read_only
    assert not described["message.max.bytes"].is_read_only
    assert described["ssl.key.password"].is_sensitive
    assert len(described) == 341


def test_confluent_keeps_acls(broker: Broker, confluent: Any) -> None:
    """Creates entries, finds them by filters, and deletes them."""
    from confluent_kafka.admin import (
        AclBinding,
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    allow, topic = AclPermissionType.ALLOW, ResourceType.TOPIC
    entries = [
        AclBinding(topic, "let", ResourcePatternType.PREFIXED, "User:me", "*", AclOperation.READ, allow),
        AclBinding(topic, "letters", ResourcePatternType.LITERAL, "User:me", "*", AclOperation.WRITE, allow),
    ]
    results(confluent.create_acls(entries))
    assert [acl.resource_name for acl in broker.acls] == ["let", "letters"]
    wanted = AclBindingFilter(
        topic, "letters", ResourcePatternType.MATCH, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    assert {acl.name for acl in confluent.describe_acls(wanted).result(TIMEOUT)} == {"let", "letters"}
    assert len(results(confluent.delete_acls([wanted]))[wanted]) == 2
    assert broker.acls == []


def test_confluent_keeps_scram_users(broker: Broker, confluent: Any) -> None:
    """Sets a password, describes it without, and takes it away."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import (
        ScramCredentialInfo,
        ScramMechanism,
        UserScramCredentialDeletion,
        UserScramCredentialUpsertion,
    )

    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
    results(confluent.alter_user_scram_credentials([UserScramCredentialUpsertion("me", info, b"secret", b"salt")]))
    (described,) = results(confluent.describe_user_scram_credentials(["me"])).values()
    (credential,) = described.scram_credential_infos
    assert (credential.mechanism, credential.iterations) == (ScramMechanism.SCRAM_SHA_512, 8192)
    gone = UserScramCredentialDeletion("me", ScramMechanism.SCRAM_SHA_512)
    results(confluent.alter_user_scram_credentials([gone]))
    with pytest.raises(KafkaException, match="me"):
        results(confluent.describe_user_scram_credentials(["me"]))


def test_confluent_elects_the_preferred_leader(broker: Broker, confluent: Any) -> None:
    """After its node was away for a while."""
    from confluent_kafka import ElectionType, TopicPartition

    preferred = broker.leader("letters", 0)
    other = next(node for node in broker.nodes if node != preferred)
    broker.move_leader("letters", 0, other)
    confluent.elect_leaders(ElectionType.PREFERRED, [TopicPartition("letters", 0)]).result(TIMEOUT)
    assert broker.leader("letters", 0) == preferred


def test_confluent_describes_the_cluster(broker: Broker, confluent: Any) -> None:
    """All nodes, and what may be done."""
    described = confluent.describe_cluster(include_authorized_operations=True).result(TIMEOUT)
    assert {node.id for node in described.nodes} == {1, 2, 3}
    assert len(described.authorized_operations) > 3


# --- kafka-python ---


def test_kafka_python_makes_topics_and_moves_them(broker: Broker, python: Any) -> None:
    """Topics, partitions, reassignment, elections."""
    from kafka import TopicPartition

    python.create_topics({"parcels": {"num_partitions": 1, "configs": {"segment.ms": "9"}}})
    assert broker.topic_configs("parcels") == {"segment.ms": "9"}
    python.create_partitions({"parcels": 3})
    assert broker.topics["parcels"] == 3
    python.alter_partition_reassignments({TopicPartition("parcels", 0): [3, 2]})
    assert not python.list_partition_reassignments()
    assert broker.leader("parcels", 0) == 3
    python.delete_topics(["parcels"])
    assert broker.topics == {"letters": 2}


def test_kafka_python_changes_configs(broker: Broker, python: Any) -> None:
    """Of topics, and of all brokers together."""
    from kafka.admin import ConfigResource, ConfigResourceType

    python.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "letters", {"retention.ms": "7"})])
    assert broker.topic_configs("letters") == {"retention.ms": "7"}
    python.reset_configs([ConfigResource(ConfigResourceType.TOPIC, "letters", ["retention.ms"])])
    assert broker.topic_configs("letters") == {}


def test_kafka_python_keeps_acls_and_users(broker: Broker, python: Any) -> None:
    """Entries and credentials come back as they were given."""
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    acl = ACL(
        "User:me", "*", ACLOperation.READ, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, "letters")
    )
    assert python.create_acls([acl])["succeeded"] == [acl]
    assert python.describe_acls(acl)[0] == [acl]
    assert python.describe_user_scram_credentials() == {}


def test_kafka_python_describes_all_there_is(broker: Broker, python: Any) -> None:
    """Features, directories, quorum, topics by pages, resources."""
    assert python.describe_features()
    assert len(python.describe_log_dirs()) == 3
    (quorum,) = python.describe_metadata_quorum()["topics"][0]["partitions"]
    assert quorum["leader_id"] in broker.nodes
    assert python.describe_topic_partitions(["letters"], response_partition_limit=1)
    assert python.list_config_resources()
    assert len(python.describe_cluster()["brokers"]) == 3


# --- aiokafka ---


def test_aiokafka_administers(broker: Broker) -> None:
    """Topics, partitions, configurations, records."""
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    async def administer() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await client.start()
        try:
            await client.create_topics([NewTopic("parcels", 1, 1)])
            await client.create_partitions({"parcels": NewPartitions(2)})
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "parcels", {"retention.ms": "3"})])
            described = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, "parcels")])
            assert "retention.ms" in str(described)
        finally:
            await client.close()

    asyncio.run(asyncio.wait_for(administer(), TIMEOUT))
    assert broker.topics["parcels"] == 2
    assert broker.topic_configs("parcels") == {"retention.ms": "3"}


# --- without an authorizer ---


def test_without_an_authorizer_there_are_no_acls() -> None:
    """Clients are told that security is disabled."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import (
        AclBinding,
        AclOperation,
        AclPermissionType,
        AdminClient,
        ResourcePatternType,
        ResourceType,
    )

    acl = AclBinding(
        ResourceType.TOPIC,
        "letters",
        ResourcePatternType.LITERAL,
        "User:me",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    with Broker() as broker:
        client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        with pytest.raises(KafkaException) as refused:
            results(client.create_acls([acl]))
    assert refused.value.args[0].code() == KafkaError.SECURITY_DISABLED
