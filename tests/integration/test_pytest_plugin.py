"""The pytest plugin, as somebody's tests use it: pytest runs them in a process of their own."""

import socket
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


def test_a_marker_for_the_whole_session(run: Run, tmp_path: Path) -> None:
    """What conftest.py puts on the session holds for its broker, and for tests that say nothing else."""
    (tmp_path / "conftest.py").write_text(
        """
import pytest

def pytest_sessionstart(session):
    session.add_marker(pytest.mark.felice(topics={"letters": 4}))
"""
    )
    done = run(
        """
import pytest

def test_all(felice_session_broker, felice_broker):
    assert felice_session_broker.topics == felice_broker.topics == {"letters": 4}

@pytest.mark.felice(topics={"cards": 1})
def test_mine(felice_session_broker, felice_broker):
    assert felice_session_broker.topics == {"letters": 4}
    assert felice_broker.topics == {"cards": 1}
"""
    )
    assert passed(done, 2), done.stdout


@pytest.mark.parametrize(
    ("fixture", "place"),
    [("felice_module_broker", "a module's pytestmark"), ("felice_session_broker", "pytest_sessionstart(session)")],
)
def test_a_marker_that_comes_too_late_is_refused(run: Run, fixture: str, place: str) -> None:
    """A broker of several tests is not what one of them asks for, and the test is told where to ask."""
    done = run(
        f"""
import pytest

@pytest.mark.felice(topics={{"letters": 4}})
def test_mine({fixture}): ...
"""
    )
    assert done.returncode == 1
    assert f"test_mine: {fixture} serves more than this test" in done.stdout
    assert place in done.stdout


def test_a_failure_tells_of_the_brokers_of_the_test(run: Run) -> None:
    """Not of one that others have."""
    done = run(
        """
import pytest

def test_others(felice_session_broker): ...

def test_mine(felice_module_broker):
    assert felice_module_broker is None
"""
    )
    assert done.stdout.count("seed=") == 1, done.stdout


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
    assert "<fault error NOT_LEADER_OR_FOLLOWER on api='Produce': hit 1 of 2>" in report
    assert "Produce v13 from 'felice' to node 1, answered in" in report
    assert "hit by <fault error NOT_LEADER_OR_FOLLOWER on api='Produce': hit 1 of" in report


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


def test_an_unknown_argument_of_the_marker_is_told_with_the_known_ones(run: Run) -> None:
    """A slip is corrected in one look."""
    done = run(
        """
import pytest

@pytest.mark.felice(topic={"letters": 1})
def test_mine(felice_broker): ...
"""
    )
    assert done.returncode == 1
    assert "test_mine: the marker felice has no argument 'topic'; it has topics, nodes," in done.stdout


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


def test_a_cluster_that_is_not_there_is_waited_for_once(run: Run, tmp_path: Path) -> None:
    """Each test that wanted it says so."""
    (tmp_path / "conftest.py").write_text(
        """
from felice.testing import cluster

cluster.FIRST_PATIENCE = 0.3
connect = cluster.RealCluster.connect

def noted(self):
    print("waiting")
    connect(self)

cluster.RealCluster.connect = noted
"""
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    done = run(
        """
import pytest

@pytest.mark.parametrize("number", range(5))
@pytest.mark.felice(topics={"letters": 2}, real=True)
def test_mine(number, felice_cluster): ...
""",
        *("--felice-bootstrap", address, "--tb=line", "-s"),
    )
    assert done.stdout.count(f"UsageError: --felice-bootstrap {address}: ") >= 5, done.stdout
    assert "5 errors" in done.stdout
    assert done.stdout.count("waiting\n") == 1


def test_an_address_that_is_none_is_refused_at_once(run: Run) -> None:
    """By the name of the option."""
    done = run("def test_mine(): ...", "--felice-bootstrap", "kafka")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--felice-bootstrap: 'kafka' is not an address (write" in done.stderr


def test_help_tells_of_the_option_and_the_marker(run: Run) -> None:
    """What there is can be found."""
    assert "--felice-bootstrap=HOST:PORT" in run("", "--help").stdout
    assert "@pytest.mark.felice(topics=None, nodes=1, seed=None, real=False" in run("", "--markers").stdout
