"""Kafka's own Java client copies a topic in transactions on the embedded broker: every record once, in order."""

import json
import subprocess
from pathlib import Path

import pytest
from cluster import JAVA

from felice import Consumer, Producer
from felice.broker import Broker

HERE = Path(__file__).resolve().parent
RECORDS = 600
AT_ONCE = 40


@pytest.mark.parametrize("options", [(), ("--group-mode", "--use-group-metadata")], ids=["assigned", "in a group"])
def test_java_copies_exactly_once(kafka_libs: Path, options: tuple[str, ...]) -> None:
    """Some transactions are aborted on the way, at random, and their records copied again."""
    with Broker(topics={"letters": 1, "copies": 1}, nodes=2) as broker:
        with Producer(broker.bootstrap_servers) as producer:
            for number in range(RECORDS):
                producer.send("letters", b"%d" % number)
        copied = subprocess.run(
            [
                *JAVA,
                f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}",
                "-cp",
                f"{kafka_libs}/*",
                "org.apache.kafka.tools.TransactionalMessageCopier",
                *("--broker-list", broker.bootstrap_servers),
                *("--input-topic", "letters", "--input-partition", "0", "--output-topic", "copies"),
                *("--transactional-id", "copier", "--consumer-group", "copiers"),
                *("--max-messages", str(RECORDS), "--transaction-size", str(AT_ONCE), "--enable-random-aborts"),
                *options,
            ],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        last = json.loads(copied.stdout.strip().splitlines()[-1])
        assert (last["stage"], last["totalProcessed"], last["remaining"]) == ("ShutdownComplete", RECORDS, 0)
        with Consumer[bytes, bytes](broker.bootstrap_servers, "copies") as reading:
            ends = reading.end_offsets()
            read = []
            while any(reading.position(tp) < end for tp, end in ends.items()):
                read += [message.value for message in reading.poll(0.2)]
        assert read == [b"%d" % number for number in range(RECORDS)]
        # Java speaks of transactions whose every end raises the epoch: so none ended twice, and none was left open.
        copier = broker.transactions["copier"]
        assert (copier.state, copier.partitions) == ("CompleteCommit", frozenset())
        assert copier.producer_epoch >= RECORDS / AT_ONCE
