"""Transactions: TransactionalMessageCopier, the performance tool within transactions, TransactionsCommand."""

from judges.jvm.shell import Case, Shell, events, fresh, says


def _copier(shell: Shell) -> None:
    """Copy with some transactions aborted: who reads what was committed finds each record once."""
    source, target, group = shell.topic(1), shell.topic(1), fresh("copiers")
    shell("VerifiableProducer", "--topic", source, "--max-messages", 1000)
    options = (
        "--input-topic", source, "--input-partition", 0, "--output-topic", target, "--consumer-group", group,
        "--transactional-id", fresh("copier"), "--transaction-size", 50, "--enable-random-aborts",
        "--use-group-metadata",
    )  # fmt: skip
    last = events(shell("TransactionalMessageCopier", *options, server="--broker-list"))[-1]
    assert (last["remaining"], last["consumed"]) == (0, 1000), last
    says(shell("ConsumerGroupCommand", "--describe", "--group", group), rf"{source}\s+0\s+1000\s+1000\s+0")
    committed = shell.file("isolation.level=read_committed\n")
    reading = ("--topic", target, "--group-id", fresh("readers"), "--max-messages", 1000, "--verbose")
    found = events(shell("VerifiableConsumer", *reading, "--command-config", committed))
    values = [each["value"] for each in found if each["name"] == "record_data"]
    assert values == [str(n) for n in range(1000)], f"{len(values)} values, {len(set(values))} different"


def _performance(shell: Shell) -> None:
    name = shell.topic(2)
    options = ("--topic", name, "--num-records", 5000, "--record-size", 100, "--throughput", -1)
    says(shell("ProducerPerformance", *options, "--transaction-duration-ms", 50), r"^5000 records sent")
    committed = shell.file("isolation.level=read_committed\n")
    said = shell(
        "ConsumerPerformance", "--topic", name, "--num-records", 5000, "--hide-header", "--command-config", committed
    )
    assert int(said.splitlines()[-1].split(",")[4]) == 5000, said


def _listings(shell: Shell) -> None:
    name, transaction = shell.topic(1), fresh("copier")
    options = ("--topic", name, "--num-records", 50, "--record-size", 100, "--throughput", -1)
    shell("ProducerPerformance", *options, "--transactional-id", transaction)
    says(shell("TransactionsCommand", "list"), rf"^{transaction}\s+\S+\s+\d+\s+CompleteCommit")
    said = shell("TransactionsCommand", "describe", "--transactional-id", transaction)
    says(said, rf"^1\s+{transaction}\s+\d+\s+\d+\s+CompleteCommit\s+60000\s")
    said = shell("TransactionsCommand", "describe-producers", "--topic", name, "--partition", 0)
    says(said, r"^\d+\s+1\s+\d+\s+-1\s+\d+\s+None")  # the epoch was bumped at the end (KIP-890), nothing came since
    said = shell("TransactionsCommand", "find-hanging", "--broker-id", 1)
    assert name not in said, said


CASES = (
    Case("TransactionalMessageCopier with aborts", _copier, quick=True),
    Case("ProducerPerformance in transactions", _performance),
    Case("TransactionsCommand", _listings),
)
