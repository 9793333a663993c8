"""Clients that nobody here wrote meet access control entries."""

from collections.abc import Iterator
from typing import Any

import pytest

from felice.broker import Broker

confluent_kafka = pytest.importorskip("confluent_kafka")
admin = pytest.importorskip("confluent_kafka.admin")

TIMEOUT = 20.0


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker that lets everybody do what no entry speaks of."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with Broker({"letters": 1, "parcels": 1}, configs=settings) as broker:
        yield broker


def deny(broker: Broker, operation: str, kind: str, name: str) -> None:
    """Have everybody be denied something."""
    entry = admin.AclBinding(
        admin.ResourceType[kind], name, admin.ResourcePatternType.LITERAL, "User:*", "*",
        admin.AclOperation[operation], admin.AclPermissionType.DENY,
    )  # fmt: skip
    client = admin.AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for done in client.create_acls([entry]).values():
        done.result(TIMEOUT)


def sent(broker: Broker, topic: str) -> Any:
    """Send a record and return the error with which it came back."""
    errors: list[Any] = []
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce(topic, b"hello", on_delivery=lambda error, message: errors.append(error))
    assert producer.flush(TIMEOUT) == 0
    return errors[0]


def test_a_producer_is_kept_out(broker: Broker) -> None:
    """Of the topic that an entry denies, and of no other."""
    deny(broker, "WRITE", "TOPIC", "letters")
    assert sent(broker, "letters").code() == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert sent(broker, "parcels") is None


@pytest.mark.parametrize(
    ("operation", "kind", "name", "code"),
    [
        ("READ", "TOPIC", "letters", "TOPIC_AUTHORIZATION_FAILED"),
        ("READ", "GROUP", "readers", "GROUP_AUTHORIZATION_FAILED"),
        ("DESCRIBE", "GROUP", "readers", "GROUP_AUTHORIZATION_FAILED"),
    ],
)
def test_a_consumer_is_kept_out(broker: Broker, operation: str, kind: str, name: str, code: str) -> None:
    """Of a topic, or of a group."""
    deny(broker, operation, kind, name)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "readers"})
    consumer.subscribe(["letters"])
    try:
        message = consumer.poll(TIMEOUT)
        assert message.error().code() == getattr(confluent_kafka.KafkaError, code)
    finally:
        consumer.close()


def test_a_transaction_is_kept_out(broker: Broker) -> None:
    """Its producer does not even begin."""
    deny(broker, "WRITE", "TRANSACTIONAL_ID", "books")
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "books"})
    with pytest.raises(confluent_kafka.KafkaException) as caught:
        producer.init_transactions(TIMEOUT)
    assert caught.value.args[0].code() == confluent_kafka.KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
