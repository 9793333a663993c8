"""Groups: ConsumerGroupCommand and GroupsCommand."""

from judges.jvm.shell import Case, Shell, fresh, says


def _read(shell: Shell, name: str, group: str, protocol: str = "classic", count: int = 300) -> None:
    """Have a member of the group read so many records, commit and leave."""
    options = ("--topic", name, "--group-id", group, "--group-protocol", protocol, "--max-messages", count)
    says(shell("VerifiableConsumer", *options), "shutdown_complete")


def _empty_groups(shell: Shell) -> None:
    for protocol in ("classic", "consumer"):
        name, group = shell.topic(1), fresh("readers")
        shell.write(name, 300)
        _read(shell, name, group, protocol)
        says(shell("ConsumerGroupCommand", "--list"), rf"^{group}$")
        says(shell("ConsumerGroupCommand", "--list", "--state"), rf"^{group}\s+Empty")
        says(shell("ConsumerGroupCommand", "--list", "--type"), rf"^{group}\s+{protocol.capitalize()}")
        says(shell("GroupsCommand", "--list"), rf"^{group}\s+{protocol.capitalize()}\s+consumer")
        said = shell("ConsumerGroupCommand", "--describe", "--group", group)
        says(said, "has no active members", rf"^{group}\s+{name}\s+0\s+300\s+300\s+0\s+-\s+-\s+-")
        says(shell("ConsumerGroupCommand", "--describe", "--group", group, "--state"), rf"^{group}\s+.*\s+Empty\s+0$")


def _active_groups(shell: Shell) -> None:
    for protocol in ("classic", "consumer"):
        name, group = shell.topic(2), fresh("readers")
        options = ("--topic", name, "--group-id", group, "--group-protocol", protocol)
        with shell.child("VerifiableConsumer", *options) as member:
            for line in member.lines(60):
                if "partitions_assigned" in line:
                    break
            says(
                shell("ConsumerGroupCommand", "--describe", "--group", group),
                rf"^{group}\s+{name}\s+1\s+-\s+0\s+-\s+\S+\s+/127\.0\.0\.1\s+consumer",
            )
            said = shell("ConsumerGroupCommand", "--describe", "--group", group, "--members", "--verbose")
            says(said, rf"^{group}\s+\S+\s+/127\.0\.0\.1\s+\S+\s+2\s+.*{name}[:(]0,\s?1")
            said = shell("ConsumerGroupCommand", "--describe", "--group", group, "--state", "--verbose")
            says(said, rf"^{group}\s+127\.0\.0\.1:\d+\s+\(1\)\s+(range|uniform)\s+Stable\s+.*1$")
            # A group with members may not be deleted.
            says(
                shell("ConsumerGroupCommand", "--delete", "--group", group),
                "GroupNotEmptyException: The group is not empty",
            )
            says(shell("GroupsCommand", "--list", "--consumer"), rf"^{group}\s")


def _reset(shell: Shell) -> None:
    name, group = shell.topic(1), fresh("readers")
    shell.write(name, 300)
    _read(shell, name, group)
    reset = ("--reset-offsets", "--group", group, "--topic", name)
    for plan, offset in (
        (["--to-earliest"], 0),
        (["--shift-by", "50"], 50),
        (["--to-offset", "120"], 120),
        (["--to-datetime", "2001-01-01T00:00:00.000"], 0),
        (["--to-latest"], 300),
    ):
        said = shell("ConsumerGroupCommand", *reset, *plan, "--execute")
        says(said, rf"^{group}\s+{name}\s+0\s+{offset}$")
    says(shell("ConsumerGroupCommand", "--describe", "--group", group), rf"^{group}\s+{name}\s+0\s+300\s+300\s+0")
    said = shell(
        "ConsumerGroupCommand",
        "--reset-offsets",
        "--group",
        fresh("others"),
        "--topic",
        name,
        "--to-offset",
        7,
        "--execute",
    )
    says(said, rf"{name}\s+0\s+7$")


def _deletion(shell: Shell) -> None:
    name, group = shell.topic(1), fresh("readers")
    shell.write(name, 300)
    _read(shell, name, group)
    said = shell("ConsumerGroupCommand", "--delete-offsets", "--group", group, "--topic", name)
    says(said, r"Request succeed", rf"^{name}\s+0\s+Successful\s*$")
    _read(shell, name, group)  # from the beginning, for its offset is gone
    says(shell("ConsumerGroupCommand", "--delete", "--group", group), "was successful")
    says(
        shell("ConsumerGroupCommand", "--delete", "--group", group),
        "GroupIdNotFoundException: The group id does not exist",
    )
    says(
        shell("ConsumerGroupCommand", "--describe", "--group", group),
        rf"GroupIdNotFoundException: Group {group} not found",
    )


CASES = (
    Case("ConsumerGroupCommand: groups without members", _empty_groups, quick=True),
    Case("ConsumerGroupCommand: groups with members", _active_groups),
    Case("ConsumerGroupCommand: offsets reset", _reset),
    Case("ConsumerGroupCommand: offsets and groups deleted", _deletion),
)
