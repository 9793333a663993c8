"""The cluster: versions, features, ACLs, elections, reassignments, log folders."""

from judges.jvm.shell import Case, Shell, fresh, says


def _versions(shell: Shell) -> None:
    said = shell("BrokerApiVersionsCommand")
    says(said, r"127\.0\.0\.1:\d+ \(id: 1 rack: null isFenced: false\) -> \(")
    says(said, r"Produce\(0\): 0 to \d+ \[usable: \d+\]", r"ApiVersions\(18\): 0 to 4 \[usable: 4\]")
    says(said, r"ConsumerGroupHeartbeat\(68\): 0 to 1 \[usable: 1\]")


def _features(shell: Shell) -> None:
    said = shell("FeatureCommand", "describe")
    for name in ("metadata.version", "group.version", "transaction.version"):
        says(
            said,
            rf"Feature: {name}\s+SupportedMinVersion: \S+\s.*\sFinalizedVersionLevel: \S+\s+Epoch: \d+",
        )
    said = shell("FeatureCommand", "upgrade", "--feature", "transaction.version=2", "--dry-run")
    says(said, r"transaction\.version can be upgraded to 2|Can set|would")
    said = shell("FeatureCommand", "upgrade", "--feature", "no.such.feature=1", status=1)
    says(said, "Could not|not supported|InvalidUpdateVersion|Unknown|does not")


def _acls(shell: Shell) -> None:
    name, group = fresh("secret"), fresh("readers")
    said = shell(
        "AclCommand",
        "--add",
        "--allow-principal",
        "User:max",
        "--operation",
        "Read",
        "--operation",
        "Describe",
        "--topic",
        name,
    )
    says(said, rf"Adding ACLs for resource `ResourcePattern\(resourceType=TOPIC, name={name}, patternType=LITERAL\)`")
    options = ("--allow-principal", "User:max", "--consumer", "--topic", name, "--group", group)
    shell("AclCommand", "--add", *options, "--resource-pattern-type", "prefixed")
    said = shell("AclCommand", "--list", "--topic", name)
    says(
        said,
        rf"name={name}, patternType=LITERAL",
        r"\(principal=User:max, host=\*, operation=READ, permissionType=ALLOW\)",
    )
    said = shell("AclCommand", "--list", "--resource-pattern-type", "match", "--topic", f"{name}-too")
    says(said, rf"name={name}, patternType=PREFIXED")
    shell("AclCommand", "--remove", "--force", "--allow-principal", "User:max", "--operation", "Read", "--topic", name)
    said = shell("AclCommand", "--list", "--topic", name)
    says(said, "operation=DESCRIBE")
    assert "operation=READ" not in said, said
    shell("AclCommand", "--remove", "--force", "--topic", name, "--group", group, "--resource-pattern-type", "any")
    said = shell("AclCommand", "--list", "--principal", "User:max")
    assert name not in said, said


def _elections(shell: Shell) -> None:
    name = shell.topic(2)
    said = shell("LeaderElectionCommand", "--election-type", "preferred", "--topic", name, "--partition", 0)
    says(said, rf"Valid replica already elected for partitions.*{name}-0")
    chosen = shell.file({"partitions": [{"topic": name, "partition": 1}]})
    said = shell("LeaderElectionCommand", "--election-type", "unclean", "--path-to-json-file", chosen)
    says(said, rf"Valid replica already elected for partitions.*{name}-1")
    said = shell(
        "LeaderElectionCommand", "--election-type", "preferred", "--topic", fresh("nothing"), "--partition", 0, status=1
    )
    says(said, "UnknownTopicOrPartitionException|could not be found|does not exist")
    shell("LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions")


def _reassignments(shell: Shell) -> None:
    name = shell.topic(1)
    moved = shell.file({"topics": [{"topic": name}], "version": 1})
    said = shell("ReassignPartitionsCommand", "--generate", "--topics-to-move-json-file", moved, "--broker-list", "1")
    says(said, "Proposed partition reassignment configuration", rf'"topic":"{name}","partition":0,"replicas":\[1\]')
    plan = shell.file(
        {"version": 1, "partitions": [{"topic": name, "partition": 0, "replicas": [1], "log_dirs": ["any"]}]}
    )
    says(shell("ReassignPartitionsCommand", "--execute", "--reassignment-json-file", plan), "Successfully started")
    said = shell("ReassignPartitionsCommand", "--verify", "--reassignment-json-file", plan)
    says(said, rf"Reassignment of partition {name}-0 is completed\.")
    says(shell("ReassignPartitionsCommand", "--list"), "No partition reassignments found")
    wrong = shell.file(
        {"version": 1, "partitions": [{"topic": name, "partition": 0, "replicas": [9], "log_dirs": ["any"]}]}
    )
    says(
        shell("ReassignPartitionsCommand", "--execute", "--reassignment-json-file", wrong, status=1),
        "Unknown broker|not found|Exception",
    )


def _log_folders(shell: Shell) -> None:
    name = shell.topic(2)
    shell.write(name, 100)
    said = shell("LogDirsCommand", "--describe", "--topic-list", name)
    says(said, r'"broker":1', rf'"partition":"{name}-0"', rf'"partition":"{name}-1"')


CASES = (
    Case("BrokerApiVersionsCommand", _versions, quick=True),
    Case("FeatureCommand", _features),
    Case("AclCommand", _acls, quick=True),
    Case("LeaderElectionCommand", _elections),
    Case("ReassignPartitionsCommand", _reassignments),
    Case("LogDirsCommand", _log_folders),
)
