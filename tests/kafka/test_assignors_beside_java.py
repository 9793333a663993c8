"""Kafka's own assignors, from the jar of its group coordinator, judge ours: equal results, to the last partition."""

import random
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from felice.broker.groups.assignors import ASSIGNORS, Subscriber
from felice.broker.groups.simple_assignor import simple_assignor

JUDGE = Path(__file__).with_name("JudgeAssignors.java")
GOLDEN = 0x9E3779B97F4A7C15

Held = dict[int, set[int]]
Members = dict[str, tuple[str | None, set[int], Held]]
"""Each member's instance, what it reads, and what it holds."""


class Case:
    """A group: how many partitions topics have, and who reads and holds what; topics are numbers here."""

    def __init__(
        self,
        assignor: str,
        topics: dict[int, int],
        members: Members,
        assignable: dict[int, int] | None = None,
    ) -> None:
        """`assignable` is of how many partitions each topic's first ones may be handed out: all, unless it is given."""
        self.assignor = assignor
        self.topics = topics
        self.assignable = topics if assignable is None else assignable
        self.members = members
        self.alike = len({frozenset(topics) for _, topics, _ in members.values()}) == 1

    def tell(self) -> str:
        """Write it down for the judge."""
        lines = [f"case {self.assignor} {'alike' if self.alike else 'mixed'}"]
        lines += [f"topic {topic} {size} {self.assignable[topic]}" for topic, size in self.topics.items()]
        for member_id, (instance_id, topics, held) in self.members.items():
            pairs = ",".join(f"{topic}:{index}" for topic in held for index in sorted(held[topic]))
            lines.append(f"member {member_id} {instance_id or '-'} {','.join(map(str, topics)) or '-'} {pairs or '-'}")
        return "\n".join([*lines, "go"])

    def assigned(self, order: list[int]) -> Mapping[str, Mapping[bytes, frozenset[int]]]:
        """Assign, going over topics in this order."""
        members = {
            member_id: Subscriber(
                frozenset(map(topic_id, topics)),
                {topic_id(topic): frozenset(indexes) for topic, indexes in held.items()},
                instance_id,
            )
            for member_id, (instance_id, topics, held) in self.members.items()
        }
        if self.assignor == "simple":
            assign = simple_assignor({topic_id(one): frozenset(range(size)) for one, size in self.assignable.items()})
        else:
            assign = ASSIGNORS[self.assignor]
        ordered = order if self.alike and self.assignor != "simple" else list(self.topics)
        return assign(members, {topic_id(one): self.topics[one] for one in ordered}, self.alike)

    def held_then(self) -> dict[str, Held]:
        """What members hold when that is done."""
        return {
            member_id: {int.from_bytes(topic[8:]): set(indexes) for topic, indexes in assignment.items()}
            for member_id, assignment in self.assigned([]).items()
        }

    def answer(self, order: list[int]) -> list[str]:
        """Assign, going over topics in this order, and write down the result as the judge does."""
        found = self.assigned(order)
        return [f"member {member_id} {listed(found.get(member_id, {}))}" for member_id in self.members]


def topic_id(number: int) -> bytes:
    """The ID of a topic, as the judge makes it."""
    return struct.pack(">QQ", number * GOLDEN & (1 << 64) - 1, number)


def listed(assignment: Mapping[bytes, frozenset[int]]) -> str:
    """An assignment in the judge's words."""
    by_number = {int.from_bytes(topic[8:]): sorted(indexes) for topic, indexes in assignment.items()}
    return ",".join(f"{topic}:{index}" for topic in sorted(by_number) for index in by_number[topic]) or "-"


def cases(assignor: str, alike: bool) -> Iterator[Case]:
    """Groups of all sizes, each as it comes to be: members join and leave, topics come, grow and go."""
    chance = random.Random(f"{assignor} {alike}")
    for _ in range(60):
        topics = {number: chance.randrange(1, 16) for number in range(1, chance.randrange(2, 6))}
        names = [f"m{number}" for number in range(chance.randrange(1, 7))]
        instances = {name: chance.choice([None, f"i{chance.randrange(100)}-{name}"]) for name in names}
        held: dict[str, Held] = {name: {} for name in names}
        for _ in range(5):
            shared = {topic for topic in topics if chance.random() < 0.8}
            read = {name: shared if alike else {topic for topic in topics if chance.random() < 0.7} for name in held}
            case = Case(assignor, dict(topics), {name: (instances[name], set(read[name]), held[name]) for name in held})
            if alike or not case.alike:
                yield case
            # What comes next starts from something that may have been: a part of what anybody could hold.
            free = {(topic, index) for topic in topics for index in range(topics[topic])}
            held = {name: {} for name in names if chance.random() < 0.8} or {names[0]: {}}
            for topic, index in sorted(free):
                if chance.random() < 0.8:
                    held[chance.choice(list(held))].setdefault(topic, set()).add(index)
            if chance.random() < 0.3:
                topics[len(topics) + 1] = chance.randrange(1, 16)
            topics = {topic: min(partitions + chance.randrange(2), 15) for topic, partitions in topics.items()}


def share_cases(alike: bool) -> Iterator[Case]:
    """Share groups: several members hold the same partitions, and not all partitions may be handed out yet."""
    chance = random.Random(f"simple {alike}")
    for _ in range(120):
        topics = {number: chance.randrange(1, 40) for number in range(1, chance.randrange(2, 6))}
        names = [f"m{number}" for number in range(chance.choice([1, 2, 3, 5, 20, 70]))]
        held: dict[str, Held] = {name: {} for name in names}
        assignable = dict.fromkeys(topics, 0)
        for _ in range(4):
            shared = {topic for topic in topics if chance.random() < 0.8}
            read = {name: shared if alike else {topic for topic in topics if chance.random() < 0.7} for name in names}
            assignable = {topic: chance.choice([size, chance.randint(assignable[topic], size)])
                          for topic, size in topics.items()}  # fmt: skip
            members: Members = {name: (None, set(read[name]), held.get(name, {})) for name in names}
            case = Case("simple", dict(topics), members, assignable)
            if alike or not case.alike:
                yield case
            # What comes next starts from what comes of this, for the members that stay and some new ones.
            names = [name for name in names if chance.random() < 0.8] or names[:1]
            names += [f"n{chance.randrange(1000)}" for _ in range(chance.randrange(4))]
            held = case.held_then()
            topics = {topic: size + chance.randrange(3) for topic, size in topics.items()}


def judged(kafka_libs: Path, made: list[Case]) -> None:
    """Have Kafka's own assignors do the same, and compare."""
    told = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{kafka_libs}/*", str(JUDGE)],
        input="\n".join(case.tell() for case in made),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert told.returncode == 0, told.stderr
    answers = told.stdout.split("case ")[1:]
    assert len(answers) == len(made)
    for case, answer in zip(made, answers, strict=True):
        first, *lines = answer.rstrip("\n").split("\n")
        order = [] if first == "-" else [int(word) for word in first.split(",")]
        assert case.answer(order) == lines, case.tell()


@pytest.mark.parametrize("alike", [True, False], ids=["alike", "mixed"])
@pytest.mark.parametrize("assignor", ASSIGNORS)
def test_assignments_are_kafkas(kafka_libs: Path, assignor: str, alike: bool) -> None:
    """For generated groups, whose members read the same or different topics, hold some partitions and want others."""
    made = list(cases(assignor, alike))
    assert len(made) > 150
    judged(kafka_libs, made)


@pytest.mark.parametrize("alike", [True, False], ids=["alike", "mixed"])
def test_assignments_of_share_groups_are_kafkas(kafka_libs: Path, alike: bool) -> None:
    """For generated share groups, as members come and go, partitions are added, and some are not to be had yet."""
    made = list(share_cases(alike))
    assert len(made) > 300
    judged(kafka_libs, made)
