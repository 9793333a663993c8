"""Topics, their configurations and records' ends: TopicCommand, ConfigCommand, GetOffsetShell, DeleteRecordsCommand."""

from judges.jvm.shell import Case, Shell, fresh, says


def _topics(shell: Shell) -> None:
    name = fresh("letters")
    said = shell("TopicCommand", "--create", "--topic", name, "--partitions", 3, "--config", "retention.ms=86400000")
    says(said, rf"^Created topic {name}\.$")
    said = shell("TopicCommand", "--create", "--topic", name, status=1)
    says(said, "TopicExistsException")
    shell("TopicCommand", "--create", "--topic", name, "--if-not-exists")
    says(shell("TopicCommand", "--list"), rf"^{name}$")
    said = shell("TopicCommand", "--describe", "--topic", name)
    says(
        said,
        rf"^Topic: {name}\tTopicId: \S{{22}}\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: .*retention\.ms=864",
    )
    says(said, r"Partition: 2\tLeader: (\d+)\tReplicas: \1\tIsr: \1")
    shell("TopicCommand", "--alter", "--topic", name, "--partitions", 5)
    says(shell("TopicCommand", "--describe", "--topic", name), "PartitionCount: 5", "Partition: 4\tLeader: ")
    said = shell("TopicCommand", "--alter", "--topic", name, "--partitions", 4, status=1)
    says(said, "InvalidPartitionsException")
    shell("TopicCommand", "--delete", "--topic", name)
    said = shell("TopicCommand", "--describe", "--topic", name, status=1)
    says(said, rf"Topic '{name}' does not exist as expected")


def _wrong_topics(shell: Shell) -> None:
    said = shell("TopicCommand", "--create", "--topic", "what is this", status=1)
    says(said, "InvalidTopicException")
    said = shell("TopicCommand", "--create", "--topic", fresh("letters"), "--config", "retention.ms=soon", status=1)
    says(said, "InvalidConfigurationException|Invalid value soon")
    said = shell("TopicCommand", "--create", "--topic", fresh("letters"), "--replication-factor", 7, status=1)
    says(said, "InvalidReplicationFactorException")
    said = shell("TopicCommand", "--create", "--topic", fresh("letters"), "--replica-assignment", "1,1")
    says(said, "^Created topic ")
    said = shell("TopicCommand", "--create", "--topic", fresh("letters"), "--replica-assignment", "1:1", status=1)
    says(said, "Exception|duplicate")


def _topic_reports(shell: Shell) -> None:
    name = shell.topic(max_message_bytes=70000)
    says(shell("TopicCommand", "--describe", "--topics-with-overrides"), rf"{name}.*max\.message\.bytes=70000")
    for report in ("--under-replicated-partitions", "--unavailable-partitions", "--under-min-isr-partitions"):
        said = shell("TopicCommand", "--describe", report)
        assert name not in said, f"{report} names {name}"


def _topic_configs(shell: Shell) -> None:
    name = shell.topic()
    topic = ("--entity-type", "topics", "--entity-name", name)
    added = "retention.ms=100000,cleanup.policy=[compact,delete]"
    says(
        shell("ConfigCommand", *topic, "--alter", "--add-config", added),
        rf"Completed updating config for topic {name}\.",
    )
    said = shell("ConfigCommand", *topic, "--describe")
    says(
        said,
        rf"Dynamic configs for topic {name} are:",
        r"retention\.ms=100000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention\.ms=100000",
    )
    says(said, r"cleanup\.policy=compact,delete")
    shell("ConfigCommand", *topic, "--alter", "--delete-config", "retention.ms")
    said = shell("ConfigCommand", *topic, "--describe")
    assert "retention.ms" not in said, said
    says(shell("ConfigCommand", *topic, "--describe", "--all"), r"segment\.bytes=1073741824 sensitive=false")
    said = shell("ConfigCommand", *topic, "--alter", "--add-config", "no.such.key=1", status=1)
    says(said, "InvalidConfigurationException|Unknown topic config name")


def _broker_configs(shell: Shell) -> None:
    broker = ("--entity-type", "brokers", "--entity-name", "1")
    says(
        shell("ConfigCommand", *broker, "--describe", "--all"), r"All configs for broker 1 are:", r"num\.partitions=4 "
    )
    shell("ConfigCommand", *broker, "--alter", "--add-config", "message.max.bytes=2000000")
    says(
        shell("ConfigCommand", *broker, "--describe"),
        r"message\.max\.bytes=2000000 .*DYNAMIC_BROKER_CONFIG:message\.max\.bytes=2000000",
    )
    shell("ConfigCommand", *broker, "--alter", "--delete-config", "message.max.bytes")
    default = ("--entity-type", "brokers", "--entity-default")
    shell("ConfigCommand", *default, "--alter", "--add-config", "log.cleaner.backoff.ms=20000")
    says(
        shell("ConfigCommand", *default, "--describe"),
        r"Default configs for brokers in the cluster are:",
        r"log\.cleaner\.backoff\.ms=20000",
    )
    shell("ConfigCommand", *default, "--alter", "--delete-config", "log.cleaner.backoff.ms")


def _quotas(shell: Shell) -> None:
    user = ("--entity-type", "users", "--entity-name", "max")
    shell("ConfigCommand", *user, "--alter", "--add-config", "producer_byte_rate=1024,consumer_byte_rate=2048")
    client = ("--entity-type", "clients", "--entity-name", "copier")
    shell("ConfigCommand", *user, *client, "--alter", "--add-config", "request_percentage=50")
    says(
        shell("ConfigCommand", *user, "--describe"),
        r"Quota configs for user-principal 'max' are .*producer_byte_rate=1024(\.0)?",
    )
    says(
        shell("ConfigCommand", *user, *client, "--describe"),
        r"user-principal 'max', client-id 'copier' are request_percentage=50",
    )
    shell("ConfigCommand", *user, "--alter", "--delete-config", "producer_byte_rate,consumer_byte_rate")
    shell("ConfigCommand", *user, *client, "--alter", "--delete-config", "request_percentage")
    said = shell("ConfigCommand", *user, "--describe")
    assert "producer_byte_rate" not in said, said
    address = ("--entity-type", "ips", "--entity-name", "127.0.0.9")
    shell("ConfigCommand", *address, "--alter", "--add-config", "connection_creation_rate=100")
    says(shell("ConfigCommand", *address, "--describe"), r"connection_creation_rate=100")


def _scram_users(shell: Shell) -> None:
    user = ("--entity-type", "users", "--entity-name", "felice")
    added = "SCRAM-SHA-256=[iterations=8192,password=letters]"
    shell("ConfigCommand", *user, "--alter", "--add-config", added)
    says(
        shell("ConfigCommand", *user, "--describe"),
        r"SCRAM credential configs for user-principal 'felice' are SCRAM-SHA-256=iterations=8192",
    )
    shell("ConfigCommand", *user, "--alter", "--delete-config", "SCRAM-SHA-256")
    said = shell("ConfigCommand", *user, "--describe")
    assert "iterations=8192" not in said, said


def _group_configs(shell: Shell) -> None:
    group = ("--entity-type", "groups", "--entity-name", fresh("readers"))
    shell("ConfigCommand", *group, "--alter", "--add-config", "consumer.session.timeout.ms=50000")
    says(shell("ConfigCommand", *group, "--describe"), r"consumer\.session\.timeout\.ms=50000")
    said = shell("ConfigCommand", *group, "--alter", "--add-config", "consumer.session.timeout.ms=1", status=1)
    says(said, "InvalidConfigurationException|must be greater")


def _ends(shell: Shell) -> None:
    name = shell.topic(2)
    shell.write(name, 1000)
    ends = {}
    for when in ("earliest", "latest", "max-timestamp"):
        said = shell("GetOffsetShell", "--topic", name, "--time", when)
        rows = [line.split(":") for line in said.splitlines() if line.startswith(f"{name}:")]
        ends[when] = {int(partition): int(offset) for _, partition, offset in rows}
    assert ends["earliest"] == {0: 0, 1: 0}, ends
    assert sum(ends["latest"].values()) == 1000, ends
    newest = ends["max-timestamp"]  # nothing is said of a partition without records
    assert newest, ends
    assert all(offset < ends["latest"][partition] for partition, offset in newest.items()), ends
    filled = max(newest, key=newest.__getitem__)  # the producer chooses for itself which partition gets how many
    said = shell("GetOffsetShell", "--topic-partitions", f"{name}:{filled}", "--time", "0")
    says(said, rf"^{name}:{filled}:0$")
    offsets = shell.file({"partitions": [{"topic": name, "partition": filled, "offset": 100}], "version": 1})
    said = shell("DeleteRecordsCommand", "--offset-json-file", offsets)
    says(said, rf"partition: {name}-{filled}\tlow_watermark: 100")
    said = shell("GetOffsetShell", "--topic", name, "--time", "-2")
    says(said, rf"^{name}:{filled}:100$", rf"^{name}:{1 - filled}:0$")


CASES = (
    Case("TopicCommand: create, list, describe, alter, delete", _topics, quick=True),
    Case("TopicCommand: what is refused", _wrong_topics),
    Case("TopicCommand: reports", _topic_reports),
    Case("ConfigCommand: topics", _topic_configs, quick=True),
    Case("ConfigCommand: brokers", _broker_configs),
    Case("ConfigCommand: quotas of users, clients and addresses", _quotas),
    Case("ConfigCommand: SCRAM users", _scram_users),
    Case("ConfigCommand: groups", _group_configs),
    Case("GetOffsetShell and DeleteRecordsCommand", _ends, quick=True),
)
