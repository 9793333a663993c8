"""A storm: writers that are killed and fenced, coordinators and leaders that move, a node that comes and goes."""

import contextlib
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator

from confluent_kafka import KafkaException, Producer

from felice import Consumer
from felice.broker import Broker

ROUNDS = int(os.environ.get("FELICE_FAULT_ROUNDS", "1"))
WRITERS = 3
PARTITIONS = 3
TRANSACTIONS = 12
TIMEOUT = 30.0

COMMITTED, ABORTED, UNKNOWN = "committed", "aborted", "unknown"


class Writer:
    """Writes transactions under one transactional ID, with one producer after the other; notes how each ended."""

    def __init__(self, broker: Broker, number: int, seed: int) -> None:
        self.broker = broker
        self.name = f"writer-{number}"
        self.random = random.Random(seed)
        self.outcomes: dict[bytes, str] = {}
        self.producer: Producer | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Write all transactions."""
        try:
            for number in range(TRANSACTIONS * ROUNDS):
                self._transaction(b"%s-%d" % (self.name.encode(), number))
            self._fresh()  # whatever is open is aborted
        except BaseException as failure:
            self.failure = failure

    def _transaction(self, value: bytes) -> None:
        """Write one value to every partition, and commit, abort, or vanish."""
        ending = self.random.choices([COMMITTED, ABORTED, "killed", "fenced"], [6, 2, 1, 1])[0]
        producer = self.producer or self._fresh()
        self.outcomes[value] = ABORTED
        try:
            producer.begin_transaction()
            for partition in range(PARTITIONS):
                producer.produce("letters", value, partition=partition)
            producer.flush(TIMEOUT)
            if ending == "killed":
                self._fresh()
            elif ending == "fenced":
                self._fresh()
                with contextlib.suppress(KafkaException):
                    producer.commit_transaction(TIMEOUT)
                    self.outcomes[value] = COMMITTED  # it must not
            elif ending == ABORTED:
                producer.abort_transaction(TIMEOUT)
            else:
                self.outcomes[value] = UNKNOWN
                producer.commit_transaction(TIMEOUT)
                self.outcomes[value] = COMMITTED
        except KafkaException:
            self._fresh()

    def _fresh(self) -> Producer:
        """Begin with another producer, as a process does that was started again."""
        while True:
            self.producer = Producer(
                {
                    "bootstrap.servers": self.broker.bootstrap_servers,
                    "transactional.id": self.name,
                    "transaction.timeout.ms": 60_000,
                    "retry.backoff.ms": 20,
                    "linger.ms": 0,
                    "log_level": 0,
                }
            )
            with contextlib.suppress(KafkaException):
                self.producer.init_transactions(TIMEOUT)
                return self.producer


def trouble(broker: Broker, chance: random.Random, over: threading.Event) -> None:
    """Move leaders and coordinators, and stop a node and start it again, until it is over."""
    while not over.wait(0.03):
        node = chance.randint(1, 3)
        what = chance.choice(["letters", "coordinators", "coordinators", "node"])
        if what == "letters":
            broker.move_leader("letters", chance.randrange(PARTITIONS), node)
        elif what == "coordinators":
            for index in range(4):
                broker.move_leader("__transaction_state", index, chance.randint(1, 3))
        else:
            broker.stop(node)
            over.wait(0.1)
            broker.start(node)


def values(broker: Broker) -> Iterator[tuple[int, bytes]]:
    """Give what a reader of committed records sees, with partitions."""
    with Consumer[bytes, bytes](broker.bootstrap_servers, "letters") as reading:
        ends = reading.end_offsets()
        while any(reading.position(tp) < end for tp, end in ends.items()):
            yield from ((message.partition, message.value or b"") for message in reading.poll(0.2))


def test_each_committed_transaction_is_seen_once_and_whole(seed: int) -> None:
    """None is seen in part, none twice, and none that was aborted, whoever was killed, fenced, moved or stopped."""
    chance = random.Random(seed)
    settings = {"transaction.state.log.num.partitions": 4}
    with Broker(topics={"letters": PARTITIONS}, nodes=3, configs=settings, seed=seed) as broker:
        writers = [Writer(broker, number, chance.getrandbits(32)) for number in range(WRITERS)]
        for writer in writers:
            writer._fresh()
        threads = [threading.Thread(target=writer.run) for writer in writers]
        over = threading.Event()
        troubling = threading.Thread(target=trouble, args=(broker, random.Random(chance.getrandbits(32)), over))
        for thread in (*threads, troubling):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        troubling.join()
        assert [writer.failure for writer in writers] == [None] * WRITERS
        seen = Counter(values(broker))
        assert not [what for what, times in seen.items() if times > 1]
        for writer in writers:
            for value, outcome in writer.outcomes.items():
                partitions = sum((partition, value) in seen for partition in range(PARTITIONS))
                allowed = {COMMITTED: (PARTITIONS,), ABORTED: (0,), UNKNOWN: (0, PARTITIONS)}[outcome]
                assert partitions in allowed, (value, outcome)
        outcomes = Counter(outcome for writer in writers for outcome in writer.outcomes.values())
        assert outcomes[COMMITTED]
        assert all(known.state.startswith(("Empty", "Complete")) for known in broker.transactions.values())
