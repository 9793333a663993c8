"""Round trips with kafka-python."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from kafka.errors import KafkaError, ProducerFencedError, TopicAlreadyExistsError
from steps import COUNT, PARTITIONS, TIMEOUT, fresh, letters, main, same, step

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

CODECS = (None, "gzip", "snappy", "lz4", "zstd")


@contextlib.contextmanager
def admin_of(servers: str) -> Iterator[Any]:
    """An admin client, closed at the end."""
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=servers)) as admin:
        yield admin


def topic_of(servers: str, partitions: int = PARTITIONS, **configs: str) -> str:
    """Create a topic, and wait until it is known."""
    name = fresh("letters")
    spec = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    with admin_of(servers) as admin:
        admin.create_topics({name: spec}, wait_for_metadata=True)
    return name


def write(producer: Any, topic: str, pairs: list[tuple[bytes, bytes]], **more: Any) -> list[Any]:
    """Write pairs; give what the broker said of each."""
    sent = [producer.send(topic, value, key, **more) for key, value in pairs]
    producer.flush(TIMEOUT)
    return [future.get(TIMEOUT) for future in sent]


def consumer(servers: str, **more: Any) -> Any:
    """A consumer from the earliest record on, closed by the block that it stands in."""
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 300, **more}
    return contextlib.closing(KafkaConsumer(bootstrap_servers=servers, **options))


def read(count: int, *consumers: Any) -> list[Any]:
    """Read so many records, from one consumer or several together."""
    found: list[Any] = []
    deadline = time.monotonic() + TIMEOUT
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records within {TIMEOUT:.0f} s"
        for each in consumers:
            for records in each.poll(100).values():
                found += records
    return found


def until(what: str, holds: Callable[[], bool]) -> None:
    """Ask again and again until something holds, where nobody tells when it does."""
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT:.0f} s"
        time.sleep(0.02)


def pairs_of(records: list[Any]) -> list[tuple[Any, Any]]:
    """Give keys and values, in an order that does not depend on partitions."""
    return sorted((record.key, record.value) for record in records)


@step("produce")
def produce(servers: str) -> None:
    """Every codec, keys, headers, timestamps; read back from assigned partitions."""
    for codec in CODECS:
        topic = topic_of(servers)
        with contextlib.closing(KafkaProducer(bootstrap_servers=servers, compression_type=codec)) as producer:
            said = write(producer, topic, letters(), headers=[("mood", b"anxious")], timestamp_ms=1_700_000_000_000)
        same(len({(m.partition, m.offset) for m in said}), COUNT, "offsets acknowledged")
        with consumer(servers) as reader:
            reader.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
            found = read(COUNT, reader)
        same(pairs_of(found), sorted(letters()), str(codec))
        same({record.timestamp for record in found}, {1_700_000_000_000}, "timestamps")
        same(list(found[0].headers), [("mood", b"anxious")], "headers")


@step("offsets by time")
def offsets_by_time(servers: str) -> None:
    """Beginning, end, and the offset for a timestamp."""
    topic = topic_of(servers, 1)
    with contextlib.closing(KafkaProducer(bootstrap_servers=servers)) as producer:
        for n in range(10):
            write(producer, topic, letters(1, n), timestamp_ms=1_700_000_000_000 + 1000 * n)
    part = TopicPartition(topic, 0)
    with consumer(servers) as reader:
        same(reader.beginning_offsets([part]), {part: 0}, "beginning")
        same(reader.end_offsets([part]), {part: 10}, "end")
        same(reader.offsets_for_times({part: 1_700_000_002_500})[part].offset, 3, "offsets_for_times")


class Member:
    """A member of a group that polls on a thread of its own until the end of its block; it commits, then leaves."""

    def __init__(self, servers: str, topic: str, group: str) -> None:
        """Prepare a member."""
        self._options = {"servers": servers, "group_id": group}
        self._topic = topic
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.owned: set[int] = set()
        self.found: list[Any] = []

    def __enter__(self) -> "Member":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _poll(self) -> None:
        with consumer(**self._options) as reader:
            reader.subscribe([self._topic])
            while not self._done.is_set():
                # Within a short poll the client may lose sight of the rebalance that it is in.
                self.found += [record for records in reader.poll(1000).values() for record in records]
                self.owned = {each.partition for each in reader.assignment()}
            reader.commit()


@step("group consume")
def group_consume(servers: str) -> None:
    """Two members share a topic, commit, leave; a third goes on where they stopped."""
    topic, group = topic_of(servers), fresh("readers")
    with contextlib.closing(KafkaProducer(bootstrap_servers=servers)) as producer:
        write(producer, topic, letters())
        with Member(servers, topic, group) as one, Member(servers, topic, group) as two:
            until("two partitions for each member", lambda: len(one.owned) == len(two.owned) == 2)
            same(one.owned & two.owned, set(), "partitions of both members")
            until("every record", lambda: len({(r.partition, r.offset) for r in one.found + two.found}) == COUNT)
        write(producer, topic, letters(50, COUNT))
    with consumer(servers, group_id=group) as three:
        three.subscribe([topic])
        same(pairs_of(read(50, three)), sorted(letters(50, COUNT)), "records after the commit")


@step("transaction")
def transaction(servers: str) -> None:
    """Records committed and aborted; offsets sent with them; a second producer of the name fences the first."""
    source, target, group, name = topic_of(servers, 1), topic_of(servers, 1), fresh("copiers"), fresh("copier")
    part = TopicPartition(source, 0)
    with contextlib.closing(KafkaProducer(bootstrap_servers=servers)) as writer:
        write(writer, source, letters(20))
    options = {"bootstrap_servers": servers, "transactional_id": name}
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(KafkaProducer(**options)))
        reader = stack.enter_context(consumer(servers, group_id=group, isolation_level="read_committed"))
        reader.subscribe([source])
        first.init_transactions()
        first.begin_transaction()
        for record in read(20, reader):
            first.send(target, record.value, record.key)
        first.send_offsets_to_transaction({part: OffsetAndMetadata(20, "", -1)}, reader.group_metadata())
        first.commit_transaction()
        first.begin_transaction()
        first.send(target, b"aborted").get(TIMEOUT)
        first.abort_transaction()
        first.begin_transaction()
        first.send(target, b"end")
        first.commit_transaction()
        same(reader.committed(part), 20, "the offset committed")
        for level, count in (("read_committed", 21), ("read_uncommitted", 22)):
            with consumer(servers, isolation_level=level) as checker:
                checker.assign([TopicPartition(target, 0)])
                found = read(count, checker)
            same((len(found), found[-1].value), (count, b"end"), level)
        first.begin_transaction()
        first.send(target, b"lost").get(TIMEOUT)
        second = stack.enter_context(contextlib.closing(KafkaProducer(**options)))
        second.init_transactions()
        try:
            first.commit_transaction()
        except KafkaError as error:
            same(type(error), ProducerFencedError, "the first producer's error")
        else:
            raise AssertionError("the first producer was not fenced")


@step("admin")
def admin(servers: str) -> None:
    """Topics created, described, grown, configured, deleted; groups listed, described, deleted."""
    with admin_of(servers) as client:
        topic, group = topic_of(servers, 2, **{"retention.ms": "1000000"}), fresh("readers")
        try:
            client.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
        except TopicAlreadyExistsError:
            pass
        else:
            raise AssertionError("created twice")
        client.create_partitions({topic: 5})
        deadline = time.monotonic() + TIMEOUT
        while len(client.describe_topics([topic])[0]["partitions"]) != 5:
            assert time.monotonic() < deadline, "five partitions did not come"
        with consumer(servers, group_id=group) as reader:
            reader.subscribe([topic])
            while not reader.assignment():
                assert time.monotonic() < deadline, "nothing assigned"
                reader.poll(1000)
            reader.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)})
        # Another one: the consumer asks for its topic's metadata even while it is closed, and so would have it back.
        spare = topic_of(servers)
        client.delete_topics([spare])
        while spare in client.list_topics():
            assert time.monotonic() < deadline, "the topic did not go"


if __name__ == "__main__":
    main()
