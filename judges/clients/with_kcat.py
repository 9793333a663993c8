"""Round trips with kcat, the command of librdkafka."""

import json
import subprocess
import threading
from typing import Any

from steps import COUNT, TIMEOUT, fresh, letters, main, same, step

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LINES = b"".join(key + b"\t" + value + b"\n" for key, value in letters())


def kcat(servers: str, *arguments: str, given: bytes = b"") -> bytes:
    """Run kcat to its end; give what it prints."""
    command = ["kcat", "-b", servers, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, timeout=TIMEOUT, check=False)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.decode()}"
    return done.stdout


def lines_of(printed: bytes) -> list[bytes]:
    """Give the lines, in an order that does not depend on partitions."""
    return sorted(printed.splitlines())


@step("produce")
def produce(servers: str) -> None:
    """Every codec into a topic that it creates by asking for it, and back to the end of each partition."""
    for codec in CODECS:
        topic = fresh("letters")
        kcat(servers, "-P", "-t", topic, "-K", "\t", "-X", f"compression.codec={codec}", given=LINES)
        found = kcat(servers, "-C", "-t", topic, "-e", "-q", "-f", "%k\t%s\n")
        same(lines_of(found), lines_of(LINES), codec)


@step("headers and timestamps")
def headers(servers: str) -> None:
    """Headers as written; the first offset from a time on."""
    topic = fresh("letters")
    kcat(servers, "-P", "-t", topic, "-p", "0", "-H", "mood=anxious", given=b"one\ntwo\n")
    rows: list[Any] = [
        json.loads(line) for line in kcat(servers, "-C", "-t", topic, "-p", "0", "-e", "-q", "-J").splitlines()
    ]
    same([(row["offset"], row["payload"], row["headers"]) for row in rows],
         [(0, "one", ["mood", "anxious"]), (1, "two", ["mood", "anxious"])], "rows")  # fmt: skip
    found = kcat(servers, "-Q", "-t", f"{topic}:0:{rows[0]['ts']}").decode()
    assert found.rstrip().endswith("offset 0"), found


@step("metadata")
def metadata(servers: str) -> None:
    """Brokers and partitions, as JSON."""
    topic = fresh("letters")
    kcat(servers, "-P", "-t", topic, given=b"one\n")
    shown: Any = json.loads(kcat(servers, "-L", "-J", "-t", topic))
    same([each["topic"] for each in shown["topics"]], [topic], "topics")
    assert shown["topics"][0]["partitions"][0]["leader"] == shown["brokers"][0]["id"], shown


@step("group consume")
def group_consume(servers: str) -> None:
    """Members of a group until the end of their partitions, twice: the second time nothing is left but what is new."""
    topic, group = fresh("letters"), fresh("readers")
    kcat(servers, "-P", "-t", topic, "-K", "\t", given=LINES)
    options = ["-G", group, "-q", "-e", "-f", "%k\t%s\n", "-X", "auto.offset.reset=earliest", topic]
    same(lines_of(kcat(servers, *options)), lines_of(LINES), "the first reading")
    kcat(servers, "-P", "-t", topic, "-K", "\t", given=b"new\tletter\n")
    same(kcat(servers, *options), b"new\tletter\n", "the second reading")


@step("two members")
def two_members(servers: str) -> None:
    """Two processes in one group read every record between them."""
    topic, group = fresh("letters"), fresh("readers")
    kcat(servers, "-P", "-t", topic, "-K", "\t", given=LINES)
    command = [
        "kcat",
        "-b",
        servers,
        "-G",
        group,
        "-q",
        "-u",
        "-f",
        "%p %o\n",
        "-X",
        "auto.offset.reset=earliest",
        topic,
    ]
    found: set[bytes] = set()
    complete = threading.Event()

    def read(member: "subprocess.Popen[bytes]") -> None:
        assert member.stdout is not None
        for line in member.stdout:
            found.add(line)
            if len(found) == COUNT:
                complete.set()

    members = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    readers = [threading.Thread(target=read, args=(member,)) for member in members]
    for reader in readers:
        reader.start()
    try:
        assert complete.wait(TIMEOUT), f"{len(found)} of {COUNT} records"
    finally:
        for member in members:
            member.terminate()
        for reader in readers:
            reader.join()
        for member in members:
            member.wait()


@step("transaction")
def transaction(servers: str) -> None:
    """A transaction around all that is given; read_committed sees it."""
    topic = fresh("letters")
    kcat(servers, "-P", "-t", topic, "-K", "\t", "-X", f"transactional.id={fresh('copier')}", given=LINES)
    committed = ["-X", "isolation.level=read_committed"]
    found = kcat(servers, "-C", "-t", topic, "-e", "-q", "-f", "%k\t%s\n", *committed)
    same(lines_of(found), lines_of(LINES), "what was committed")


if __name__ == "__main__":
    main()
