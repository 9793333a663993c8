"""A transactional producer in a process that can be killed.

    python storm_writer.py SERVERS TRANSACTIONAL_ID TOPIC PARTITIONS NAME SEED

It runs one transaction after the other: `begun N`, some records `NAME N INDEX OF` in any partitions, then
`committing N` and `committed N`, or `aborted N`. It ends when it is fenced, with the line `fenced`.
"""

import random
import sys

from confluent_kafka import KafkaException, Producer

TIMEOUT = 20.0


def tell(what: str, number: int) -> None:
    """Say how far it is."""
    print(f"{what} {number}", flush=True)


def main() -> None:
    """Write until killed or fenced."""
    servers, transactional_id, topic, partitions, name, seed = sys.argv[1:]
    chance = random.Random(seed)
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": 10_000,
            "log_level": 0,
            "reconnect.backoff.ms": 10,
            "retry.backoff.ms": 10,
        }
    )
    try:
        producer.init_transactions(TIMEOUT)
        number = 0
        while True:
            number += 1
            producer.begin_transaction()
            tell("begun", number)
            count = chance.randint(1, 12)
            for index in range(count):
                value = f"{name} {number} {index} {count}"
                producer.produce(topic, value, partition=chance.randrange(int(partitions)))
            if chance.random() < 0.3:
                producer.flush(chance.uniform(0, 0.1))
                producer.abort_transaction(TIMEOUT)
                tell("aborted", number)
                continue
            tell("committing", number)
            while True:
                try:
                    producer.commit_transaction(TIMEOUT)
                    tell("committed", number)
                    break
                except KafkaException as error:
                    what = error.args[0]
                    if what.txn_requires_abort():
                        producer.abort_transaction(TIMEOUT)
                        tell("aborted", number)
                        break
                    if not what.retriable():
                        raise
    except KafkaException as error:
        if not error.args[0].fatal():
            print(f"failed {error}", flush=True)
            raise
        print("fenced", flush=True)


if __name__ == "__main__":
    main()
