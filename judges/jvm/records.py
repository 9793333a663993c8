"""Records in and out: the verifiable tools, the performance tools, and the compatibility test."""

from judges.jvm.shell import Case, Shell, events, fresh, says


def _compatibility(shell: Shell) -> None:
    abilities = {
        "offsets-for-times-supported": "True",
        "cluster-id-supported": "True",
        "expect-record-too-large-exception": "False",
        "num-cluster-nodes": "1",
        "create-topics-supported": "True",
        "describe-acls-supported": "True",
        "describe-configs-supported": "True",
        "idempotent-producer-supported": "True",
    }
    options = [part for name, value in abilities.items() for part in (f"--{name}", value)]
    shell("ClientCompatibilityTest", "--topic", shell.topic(1), *options)


def _verifiable(shell: Shell) -> None:
    for protocol in ("classic", "consumer"):
        name, group = shell.topic(2), fresh("readers")
        sent = events(shell("VerifiableProducer", "--topic", name, "--max-messages", 500, "--repeating-keys", 10))
        acked = {(each["partition"], each["offset"]) for each in sent if each["name"] == "producer_send_success"}
        assert len(acked) == 500, f"{len(acked)} of 500 acknowledged"
        assert (sent[-1]["name"], sent[-1]["acked"]) == ("tool_data", 500), sent[-1]
        options = ("--topic", name, "--group-id", group, "--group-protocol", protocol, "--max-messages", 500)
        found = events(shell("VerifiableConsumer", *options))
        names = [each["name"] for each in found]
        assert {"startup_complete", "partitions_assigned", "partitions_revoked", "shutdown_complete"} <= set(names), (
            names
        )
        assert sum(each["count"] for each in found if each["name"] == "records_consumed") == 500, names
        assert all(each["success"] for each in found if each["name"] == "offsets_committed"), names
        says(shell("ConsumerGroupCommand", "--describe", "--group", group), rf"{name}\s+0\s+(\d+)\s+\1\s+0")


def _two_consumers(shell: Shell) -> None:
    """A second member joins while the first one reads; between them they own everything, and nothing twice."""
    for protocol in ("classic", "consumer"):
        name, group = shell.topic(4), fresh("readers")
        options = ("--topic", name, "--group-id", group, "--group-protocol", protocol)
        with shell.child("VerifiableConsumer", *options) as one, shell.child("VerifiableConsumer", *options) as two:
            owned: list[set[int]] = []
            for member in (one, two):
                owned.append(set())
                for line in member.lines(60):
                    for event in events(line):
                        if event["name"] == "partitions_assigned":
                            owned[-1] |= {each["partition"] for each in event["partitions"]}
                    if owned[-1]:
                        break
            said = ""
            for _ in range(10):
                said = shell("ConsumerGroupCommand", "--describe", "--group", group, "--members")
                counts = [line.split()[-1] for line in said.splitlines() if line.startswith(group)]
                if counts == ["2", "2"]:
                    break
            else:
                raise AssertionError(f"{protocol}: not two members of two partitions: {said}")


def _performance(shell: Shell) -> None:
    name = shell.topic(2)
    options = ("--topic", name, "--num-records", 20000, "--record-size", 200, "--throughput", -1)
    for codec in ("none", "zstd", "lz4"):
        said = shell("ProducerPerformance", *options, "--command-property", f"compression.type={codec}", "acks=all")
        says(said, r"^20000 records sent, [\d.]+ records/sec .* 99\.9th\.")
    said = shell("ConsumerPerformance", "--topic", name, "--num-records", 60000, "--hide-header")
    row = [cell.strip() for cell in said.splitlines()[-1].split(",")]
    assert int(row[4]) >= 60000, row


def _latency(shell: Shell) -> None:
    said = shell("EndToEndLatency", "--topic", shell.topic(1), "--num-records", 200, "--producer-acks", "all",
                 "--record-size", 50)  # fmt: skip
    says(said, r"^Avg latency: [\d.]+ ms", r"^Percentiles: 50th = \d+, 99th = \d+, 99\.9th = \d+")


CASES = (
    Case("ClientCompatibilityTest", _compatibility, quick=True),
    Case("VerifiableProducer and VerifiableConsumer", _verifiable, quick=True),
    Case("VerifiableConsumer: two members", _two_consumers),
    Case("ProducerPerformance and ConsumerPerformance", _performance),
    Case("EndToEndLatency", _latency),
)
