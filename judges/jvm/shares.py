"""Share groups (KIP-932): ShareGroupCommand, and the tools that read in such groups."""

from judges.jvm.shell import Case, Shell, events, fresh, says

HEADER = r"^GROUP\s+"


def _group(shell: Shell) -> str:
    """Name a share group that begins to read with what is there already."""
    group = fresh("pickers")
    options = ("--entity-type", "groups", "--entity-name", group, "--add-config", "share.auto.offset.reset=earliest")
    says(shell("ConfigCommand", "--alter", *options), "Completed updating config")
    return group


def _read(shell: Shell, name: str, group: str, count: int, mode: str = "auto") -> list[tuple[int, int]]:
    """Have a member of the group read so many records; give their partitions and offsets."""
    options = ("--topic", name, "--group-id", group, "--max-messages", count, "--acknowledgement-mode", mode)
    found = events(shell("VerifiableShareConsumer", *options))
    names = [each["name"] for each in found]
    assert names[0] == "startup_complete", names
    assert names[-1] == "shutdown_complete", names
    assert all(each["success"] for each in found if each["name"] == "offsets_acknowledged"), found
    assert sum(each["count"] for each in found if each["name"] == "offsets_acknowledged") == count, names
    return _consumed(found)


def _consumed(found: list[dict[str, object]]) -> list[tuple[int, int]]:
    """Give the partitions and offsets of the records that a member says it has consumed."""
    return [
        (part["partition"], offset)
        for each in found
        if each["name"] == "records_consumed"
        for part in each["partitions"]  # type: ignore[attr-defined]
        for offset in part["offsets"]
    ]


def _lags(shell: Shell, group: str) -> list[int]:
    """Give what is left for a group in each of its partitions."""
    said = shell("ShareGroupCommand", "--describe", "--group", group, "--offsets")
    says(said, HEADER + r"TOPIC\s+PARTITION\s+START-OFFSET\s+LAG")
    return [int(line.split()[-1]) for line in said.splitlines() if line.startswith(group)]


def _empty_groups(shell: Shell) -> None:
    name, group = shell.topic(1), _group(shell)
    shell.write(name, 300)
    assert sorted(_read(shell, name, group, 300)) == [(0, offset) for offset in range(300)]
    says(shell("ShareGroupCommand", "--list"), rf"^{group}$")
    says(shell("ShareGroupCommand", "--list", "--state"), rf"^{group}\s+Empty$")
    says(shell("GroupsCommand", "--list"), rf"^{group}\s+Share\s+share")
    assert _lags(shell, group) == [0]
    said = shell("ShareGroupCommand", "--describe", "--group", group, "--verbose")
    says(
        said,
        HEADER + r"TOPIC\s+PARTITION\s+LEADER-EPOCH\s+START-OFFSET\s+LAG",
        rf"^{group}\s+{name}\s+0\s+0\s+\d+\s+0$",
    )
    said = shell("ShareGroupCommand", "--describe", "--group", group, "--state", "--verbose")
    says(said, rf"^{group}\s+127\.0\.0\.1:\d+\s+\(1\)\s+Empty\s+\d+\s+\d+\s+0$")


def _active_groups(shell: Shell) -> None:
    name, group = shell.topic(2), _group(shell)
    shell.write(name, 100)
    with shell.child("VerifiableShareConsumer", "--topic", name, "--group-id", group) as member:
        for line in member.lines(60):
            if "offsets_acknowledged" in line:
                break
        says(shell("ShareGroupCommand", "--list", "--state", "stable"), rf"^{group}\s+Stable$")
        said = shell("ShareGroupCommand", "--describe", "--group", group, "--members", "--verbose")
        says(said, HEADER + r"CONSUMER-ID\s+HOST\s+CLIENT-ID\s+#PARTITIONS\s+MEMBER-EPOCH\s+ASSIGNMENT")
        says(said, rf"^{group}\s+\S+\s+/127\.0\.0\.1\s+\S+\s+2\s+\d+\s+{name}:0,1")
        said = shell("ShareGroupCommand", "--describe", "--group", group, "--state")
        says(said, rf"^{group}\s+127\.0\.0\.1:\d+\s+\(1\)\s+Stable\s+1$")
        # While it has members, neither the group nor where it stands may be touched.
        says(shell("ShareGroupCommand", "--delete", "--group", group), "is not EMPTY")
        reset = ("--reset-offsets", "--group", group, "--topic", name, "--to-earliest", "--execute")
        says(shell("ShareGroupCommand", *reset, status=1), "is not empty")
        said = shell("ShareGroupCommand", "--delete-offsets", "--group", group, "--topic", name)
        says(said, "Error: The group is not empty")


def _reset(shell: Shell) -> None:
    name, group = shell.topic(1), _group(shell)
    shell.write(name, 300)
    _read(shell, name, group, 300)
    reset = ("--reset-offsets", "--group", group, "--topic", name)
    for plan, offset, lag in (
        (["--to-latest"], 300, 0),
        (["--to-datetime", "2001-01-01T00:00:00.000"], 0, 300),
        (["--to-latest"], 300, 0),
        (["--to-earliest"], 0, 300),
    ):
        says(shell("ShareGroupCommand", *reset, *plan, "--execute"), rf"^{group}\s+{name}\s+0\s+{offset}$")
        assert _lags(shell, group) == [lag], plan
    says(shell("ShareGroupCommand", *reset, "--to-latest", "--dry-run"), rf"^{group}\s+{name}\s+0\s+300$")
    # Everything once more.
    assert sorted(_read(shell, name, group, 300, "sync")) == [(0, offset) for offset in range(300)]
    other = fresh("others")
    said = shell("ShareGroupCommand", "--reset-offsets", "--group", other, "--topic", name, "--to-latest", "--execute")
    says(said, rf"^{other}\s+{name}\s+0\s+300$")
    says(shell("ShareGroupCommand", "--list"), rf"^{other}$")


def _deletion(shell: Shell) -> None:
    name, group = shell.topic(1), _group(shell)
    shell.write(name, 300)
    _read(shell, name, group, 300)
    said = shell("ShareGroupCommand", "--delete-offsets", "--group", group, "--topic", name)
    says(said, r"^TOPIC\s+STATUS", rf"^{name}\s+Successful\s*$")
    says(shell("ShareGroupCommand", "--describe", "--group", group), f"Share group '{group}' has no offset information")
    _read(shell, name, group, 300)  # from the beginning, for nobody knows where the group stood
    says(shell("ShareGroupCommand", "--delete", "--group", group), "was successful")
    says(shell("ShareGroupCommand", "--describe", "--group", group), f"Group {group} not found")


def _modes(shell: Shell) -> None:
    name = shell.topic(2)
    shell.write(name, 400)
    for mode in ("auto", "sync", "async"):
        assert len(set(_read(shell, name, _group(shell), 400, mode))) == 400, mode


def _two_members(shell: Shell) -> None:
    """Two members of a group in one partition: each has some of its records, and none has another's."""
    name, group = shell.topic(1), _group(shell)
    options = ("--topic", name, "--group-id", group)
    with (
        shell.child("VerifiableShareConsumer", *options) as one,
        shell.child("VerifiableShareConsumer", *options) as two,
    ):
        for _ in range(20):
            said = shell("ShareGroupCommand", "--describe", "--group", group, "--members")
            if [line.split()[-1] for line in said.splitlines() if line.startswith(group)] == [f"{name}:0"] * 2:
                break
        else:
            raise AssertionError(f"not two members of one partition: {said}")
        shell("ProducerPerformance", "--topic", name, "--num-records", 3000, "--record-size", 100, "--throughput", 1000)
        had = []
        for member in (one, two):
            had.append(set[tuple[int, int]]())
            for line in member.lines(60):
                consumed = _consumed(events(line))
                assert had[-1].isdisjoint(consumed), "a record came twice"
                had[-1].update(consumed)
                if had[-1]:
                    break
        assert had[0].isdisjoint(had[1]), "a record went to both"
    for _ in range(20):
        if _lags(shell, group) == [0]:
            return
    raise AssertionError(f"records are left: {_lags(shell, group)}")


def _performance(shell: Shell) -> None:
    name, group = shell.topic(2), _group(shell)
    shell.write(name, 20000)
    options = ("--topic", name, "--group", group, "--num-records", 20000, "--threads", 2, "--hide-header")
    row = [cell.strip() for cell in shell("ShareConsumerPerformance", *options).splitlines()[-1].split(",")]
    assert int(row[5]) == 20000, row


def _console(shell: Shell) -> None:
    name, group = shell.topic(1), _group(shell)
    shell.write(name, 3)
    shown = ("print.delivery=true", "print.offset=true", "print.value=false")
    properties = [part for each in shown for part in ("--formatter-property", each)]
    said = shell(
        "ConsoleShareConsumer", "--topic", name, "--group", group, "--max-messages", 3, "--reject", *properties
    )
    says(said, r"Delivery:1\s+Offset:2", "Processed a total of 3 messages")
    assert _lags(shell, group) == [0]


CASES = (
    Case("ShareGroupCommand: groups without members", _empty_groups, quick=True),
    Case("ShareGroupCommand: groups with members", _active_groups),
    Case("ShareGroupCommand: offsets reset", _reset),
    Case("ShareGroupCommand: offsets and groups deleted", _deletion),
    Case("VerifiableShareConsumer", _modes),
    Case("VerifiableShareConsumer: two members of one partition", _two_members),
    Case("ShareConsumerPerformance", _performance),
    Case("ConsoleShareConsumer", _console),
)
