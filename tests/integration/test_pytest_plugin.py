"""The pytest plugin, as somebody's tests use it: pytest runs them in a process of their own."""

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from felice.broker import Broker
from pytest_runs import PORTABLE, passed, run_pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run pytest over a file of tests, with options."""
    return partial(run_pytest, tmp_path)


def test_a_marker_asks_for_topics_nodes_and_a_seed(run: Run) -> None:
    """The closest marker wins, option by option."""
    done = run(
        """
import pytest
from trip import round_trip

pytestmark = pytest.mark.felice(topics={"letters": 2}, seed=7)

def test_a_topic(felice_broker):
    assert felice_broker.topics == {"letters": 2}
    assert felice_broker.seed == 7
    assert round_trip(felice_broker.bootstrap_servers, "letters") == b"Dearest Felice,"

@pytest.mark.felice(nodes=3)
def test_nodes(felice_broker):
    assert sorted(felice_broker.nodes) == [1, 2, 3]
    assert felice_broker.topics == {"letters": 2}

@pytest.mark.felice(topics={"cards": 1})
class TestCards:
    def test_cards(self, felice_broker):
        assert felice_broker.topics == {"cards": 1}
"""
    )
    assert passed(done, 3), done.stdout


def test_scopes(run: Run) -> None:
    """Each test has a broker of its own; a module's and a session's live on."""
    done = run(
        """
import pytest

pytestmark = pytest.mark.felice(topics={"letters": 1})
seen = []

@pytest.mark.parametrize("number", [1, 2])
def test_all(number, felice_broker, felice_module_broker, felice_session_broker):
    seen.append((felice_broker, felice_module_broker, felice_session_broker))
    assert felice_module_broker.topics["letters"] == 1
    felice_session_broker.create_topic(f"mine-{number}")
    assert len(felice_session_broker.topics) == number

def test_what_was_seen():
    first, second = seen
    assert first[0] is not second[0]
    assert first[1] is second[1]
    assert first[2] is second[2]
"""
    )
    assert passed(done, 3), done.stdout


def test_many_processes(run: Run) -> None:
    """Under pytest-xdist no two tests meet."""
    done = run(
        """
import pytest
from trip import round_trip

@pytest.mark.parametrize("number", range(8))
@pytest.mark.felice(topics={"letters": 1})
def test_mine(number, felice_broker):
    assert round_trip(felice_broker.bootstrap_servers, "letters") == b"Dearest Felice,"
    assert felice_broker.offsets("letters", 0) == (0, 1)
""",
        "-n2",
    )
    assert passed(done, 8), done.stdout


def test_a_failure_tells_of_the_broker(run: Run) -> None:
    """Seed, faults and the last requests stand in the output of a test that fails."""
    done = run(
        """
import pytest
from felice.errors import ErrorCode
from trip import round_trip

@pytest.mark.felice(topics={"letters": 1}, seed=1883)
def test_mine(felice_broker):
    felice_broker.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, api="Produce")
    assert round_trip(felice_broker.bootstrap_servers, "letters") == b"Dear Max,"
"""
    )
    assert done.returncode == 1
    report = done.stdout.split("felice broker", 1)[1]
    assert "seed=1883" in report
    assert "<fault error on api='Produce': hit 1 of 2>" in report
    assert "Produce v13 from 'felice' to node 1, answered in" in report
    assert "hit by <fault error on api='Produce': hit 1 of" in report


def test_a_failure_at_the_end_tells_of_the_broker(run: Run) -> None:
    """What a test's own answers raise comes when its broker closes."""
    done = run(
        """
import pytest
from felice import Producer

@pytest.mark.felice(topics={"letters": 1}, seed=1883)
def test_mine(felice_broker):
    felice_broker.answer("Metadata", lambda request, asked: 1 / 0)
    with Producer(felice_broker.bootstrap_servers, reconnect_backoff=0.01) as producer:
        producer.send_and_wait("letters", b"Dearest Felice,")
"""
    )
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert "seed=1883" in done.stdout


def test_no_broker_of_a_test_is_kept(run: Run) -> None:
    """The next test has its memory back."""
    done = run(
        """
import gc
import weakref

seen = []

def test_one(felice_broker):
    seen.append(weakref.ref(felice_broker))

def test_two(felice_broker):
    gc.collect()
    assert [broker() for broker in seen] == [None]
"""
    )
    assert passed(done, 2), done.stdout


def test_a_wrong_marker_says_what_it_takes(run: Run) -> None:
    """Arguments without a name would be guesses."""
    done = run(
        """
import pytest

@pytest.mark.felice("letters")
def test_mine(felice_broker): ...
"""
    )
    assert done.returncode == 1
    assert "test_mine: the marker felice takes named arguments only" in done.stdout


def test_the_same_tests_on_the_embedded_broker(run: Run) -> None:
    """Without the option everything runs on embedded brokers."""
    done = run(PORTABLE.replace("REAL", "False"))
    assert passed(done, 2), done.stdout


def test_the_same_tests_on_another_cluster(run: Run) -> None:
    """With the option marked tests run there, under topics of their own, which are gone afterwards."""
    with Broker(topics={"letters": 1}, auto_create=False) as other:
        done = run(PORTABLE.replace("REAL", "True"), "--felice-bootstrap", other.bootstrap_servers)
        assert passed(done, 2), done.stdout
        assert other.topics == {"letters": 1}
        assert other.offsets("letters", 0) == (0, 0)


def test_help_tells_of_the_option_and_the_marker(run: Run) -> None:
    """What there is can be found."""
    assert "--felice-bootstrap=HOST:PORT" in run("", "--help").stdout
    assert "@pytest.mark.felice(topics=None, nodes=1, seed=None, real=False" in run("", "--markers").stdout
