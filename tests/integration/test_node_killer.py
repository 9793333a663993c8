"""The killer of nodes: by its seed, never too many at once, and everything is up again at the end."""

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from felice import Producer
from felice.broker import Broker
from felice.errors import ConfigError
from felice.testing import NodeKiller

QUICK = {"period": (0.0, 0.02), "downtime": (0.0, 0.05)}


class Doll:
    """A node that notes what is done to it."""

    def __init__(self, node_id: int, heard: list[tuple[int, str]]) -> None:
        self.id = node_id
        self._heard = heard

    def stop(self) -> None:
        """Note it."""
        self._heard.append((self.id, "stop"))

    def kill(self) -> None:
        """Note it."""
        self._heard.append((self.id, "kill"))

    def start(self) -> None:
        """Note it."""
        self._heard.append((self.id, "start"))

    def pause(self) -> None:
        """Note it."""
        self._heard.append((self.id, "pause"))

    def resume(self) -> None:
        """Note it."""
        self._heard.append((self.id, "resume"))


def dolls(count: int) -> tuple[list[Doll], list[tuple[int, str]]]:
    """Nodes, and what was done to them."""
    heard: list[tuple[int, str]] = []
    return [Doll(number + 1, heard) for number in range(count)], heard


def test_the_seed_decides_everything(seed: int) -> None:
    """Two killers of one seed plan the same, one of another seed something else."""
    plans = [list(itertools.islice(NodeKiller(dolls(5)[0], seed=each).plan(), 100)) for each in (seed, seed, seed + 1)]
    assert plans[0] == plans[1] != plans[2]


@pytest.mark.parametrize("at_most", [1, 2, 5])
def test_the_plan_is_sound(seed: int, at_most: int) -> None:
    """Times ascend; nobody is killed who is away, and never too many are; all come back, in time, in their own way."""
    killer = NodeKiller(dolls(5)[0], seed=seed, period=(0.0, 0.3), downtime=(0.5, 1.0), at_most=at_most)
    back = {"stop": "start", "kill": "start", "pause": "resume"}
    away: dict[int, tuple[str, float]] = {}
    before, most = 0.0, 0
    for at, node, what in itertools.islice(killer.plan(), 500):
        assert at >= before
        before = at
        if what in back:
            assert node not in away
            away[node] = back[what], at
        else:
            expected, since = away.pop(node)
            assert what == expected
            assert 0.5 <= at - since <= 1.0
        most = max(most, len(away))
    assert most == at_most


def test_it_does_what_it_plans_and_notes_it(seed: int) -> None:
    """The events are the plan's beginning, and what was away is brought back at the end."""
    nodes, heard = dolls(3)
    with NodeKiller(nodes, seed=seed, **QUICK) as killer:
        killer.wait_for(20)
    events = [(event.node, event.what) for event in killer.events]
    assert events == heard
    planned = [(node, what) for _, node, what in itertools.islice(killer.plan(), len(events))]
    done = next((n for n, (one, other) in enumerate(zip(events, planned, strict=True)) if one != other), len(events))
    assert all(what in ("start", "resume") for _, what in events[done:])
    assert sum(what in ("start", "resume") for _, what in events) * 2 == len(events)
    assert str(killer).startswith(f"node killer, seed={seed}:\n")


def test_a_failing_test_is_told_what_was_done(seed: int) -> None:
    """The error that leaves the statement has the events as a note."""

    def test() -> None:
        with NodeKiller(dolls(3)[0], seed=seed, **QUICK) as killer:
            killer.wait_for(1)
            raise AssertionError("records are missing")

    with pytest.raises(AssertionError, match="records are missing") as raised:
        test()
    assert f"seed={seed}" in raised.value.__notes__[0]


def test_what_does_not_work_is_raised_at_the_end() -> None:
    """A node that cannot be killed ends the killing, and those that are away come back."""

    def fail() -> None:
        raise OSError("no such process")

    nodes, heard = dolls(3)
    nodes[1].kill = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no such process") as raised, NodeKiller(nodes, ways=["kill"], **QUICK) as killer:
        killer.wait_for(1000, 10)
    assert "kill node 2: OSError" in raised.value.__notes__[0]
    assert heard.count((1, "kill")) == heard.count((1, "start"))
    assert heard.count((3, "kill")) == heard.count((3, "start"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ways": ["eat"]},
        {"ways": []},
        {"at_most": 4},
        {"at_most": 0},
        {"period": (2, 1)},
        {"period": (0, 0)},
        {"downtime": 0.5},
    ],
)
def test_a_wrong_option_is_named(wrong: dict[str, object]) -> None:
    """And what it may be."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        NodeKiller(dolls(3)[0], **wrong)  # type: ignore[arg-type]


def test_nodes_of_the_broker_are_killed_under_a_producer(make_broker: Callable[..., Broker], seed: int) -> None:
    """Records are written while nodes go and come: each that was acknowledged is there, once; then all are up."""
    broker = make_broker(topics={"letters": 3}, nodes=3, seed=seed)
    everyone = broker.nodes
    acknowledged: list[bytes] = []
    with (
        NodeKiller(broker, seed=seed, period=(0.02, 0.1), downtime=(0.02, 0.1), at_most=1) as killer,
        Producer(broker.bootstrap_servers, delivery_timeout=60, request_timeout=1) as producer,
    ):
        done = threading.Thread(target=killer.wait_for, args=(10,))
        done.start()
        while done.is_alive():
            value = b"%d" % len(acknowledged)
            producer.send("letters", value).result(60)
            acknowledged.append(value)
        done.join()
    assert broker.nodes == everyone
    assert broker.faults.active == ()
    written = [record.value for record in broker.wait_for_records("letters", len(acknowledged))]
    assert sorted(written) == sorted(acknowledged)


def test_the_package_loads_its_tools_when_they_are_asked_for() -> None:
    """Importing `felice.testing` brings neither proxy nor killer; both can be had from it, and nothing else."""
    code = """
import sys, felice.testing
assert not {"felice.testing.proxy", "felice.testing.killer"} & set(sys.modules)
from felice.testing import FaultProxy, NodeKiller
assert felice.testing.NodeKiller is NodeKiller and {"FaultProxy", "NodeKiller"} <= set(dir(felice.testing))
try:
    felice.testing.Nothing
except AttributeError:
    print("well")
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "well\n"
