"""The judges' own machinery: what runners say is read right, children end with their children, causes are current."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from judges import outcome as outcomes
from judges import scoreboard
from judges.outcome import Outcome, Report, State
from judges.process import Child, DeadlineError, run
from judges.scoreboard import UNEXPLAINED, Scoreboard
from judges.suite import Order, Suite, brief
from judges.suites.librdkafka import SCENARIOS, Pass

SAID = """\
[0004_conf                  /  0.000s] WARN: SKIPPING TEST: Filtered due to negative test flags
[0001_multiobj              /  0.000s] ================= Running test 0001_multiobj =================
[0053_stats                 /  0.000s] ================= Running test 0053_stats =================
[0053_stats                 /  0.000s] WARN: SKIPPING TEST: RapidJSON >=1.1.0 not available
[0053_stats                 /  0.000s] ================= Test 0053_stats SKIPPED =================
[0092_mixed_msgver          /  0.000s] WARN: SKIPPING TEST: not applicable for broker version 4.3.1.0
[0077_compaction            /  0.000s] ================= Running test 0077_compaction =================
### Test "0077_compaction (do_test:321)" failed at 0077.c:321:do_test() at Sat Nov 21 12:39:20 2026: ###
expected 13 messages
[0001_multiobj              /  1.147s] ================= Test 0001_multiobj PASSED =================
[0088_produce_metadata_timeout/  0.000s] ================= Running test 0088_produce_metadata_timeout =================
"""


class Runner:
    """Stands for a contestant that says a fixed thing; nothing of it is asked for here."""

    name = "felice"


def test_a_case_is_what_the_runner_of_librdkafka_says_of_it() -> None:
    """Passed, skipped with a reason, failed without another word, and cut off are told apart; local cases are none."""
    said = Pass(SCENARIOS[0], Runner(), ())  # type: ignore[arg-type]
    found = {each.case: each for each in said._read(iter(SAID.splitlines()))}
    assert found["0001_multiobj"] == Outcome("0001_multiobj", State.PASSED, 1.147)
    assert found["0053_stats"] == Outcome("0053_stats", State.SKIPPED, 0.0, "RapidJSON >=1.1.0 not available")
    assert found["0092_mixed_msgver"].state is State.SKIPPED
    assert "0004_conf" not in found
    assert said.cut == {"0077_compaction", "0088_produce_metadata_timeout"}
    assert said.reason("0077_compaction") == "expected 13 messages"
    assert said.reason("0088_produce_metadata_timeout") == "the runner ended before the case"


def test_a_child_ends_with_its_own_children(tmp_path: Path) -> None:
    """What a child started and left running is gone when its block ends."""
    pid = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {pid}.half; mv {pid}.half {pid}; echo started; wait"
    with Child(["sh", "-c", script]) as child:
        assert next(child.lines(30)) == "started"
        grandchild = int(pid.read_text())
        os.kill(grandchild, 0)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{grandchild}/stat").exists() and " Z " not in Path(f"/proc/{grandchild}/stat").read_text():
        assert time.monotonic() < deadline, "the child's child runs on"


def test_a_command_that_takes_too_long_is_ended_and_named() -> None:
    """A deadline is an error that says which command and how long it had."""
    begun = time.monotonic()
    with pytest.raises(DeadlineError, match="sleep: not done within 0 s"):
        run(["sleep", "60"], 0.2)
    assert time.monotonic() - begun < 30


def test_a_command_gives_both_its_outputs_and_its_status() -> None:
    """Standard output and error come together, lines in order."""
    done = run([sys.executable, "-c", "import sys; print('out'); sys.stdout.flush(); sys.exit('wrong')"], 30)
    assert (done.status, done.text) == (1, "out\nwrong")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose results and causes lie in a temporary folder."""

    def never(*_: object) -> Iterator[Outcome]:
        raise AssertionError("nothing is run here")

    monkeypatch.setattr(outcomes, "RESULTS", tmp_path)
    monkeypatch.setattr(scoreboard, "CAUSES", tmp_path / "causes.toml")
    monkeypatch.setattr(scoreboard, "PAGE", tmp_path / "judges.md")
    (tmp_path / "causes.toml").write_text('[suite]\nacl = "no enforcement"\nmended = "was slow"\n')
    return Suite("suite", "a suite", never, never)


def keep(contestant: str, **states: str) -> None:
    """Keep outcomes as if they were of the last run."""
    cases = {case: Outcome(case, State(state), 0.0, "why") for case, state in states.items()}
    Report("suite", contestant, "1", cases).save()


def test_a_miss_is_what_passes_on_kafka_alone_and_has_its_cause(suite: Suite, tmp_path: Path) -> None:
    """Skipped is not passed; a cause that has gone is told."""
    keep("kafka", acl="passed", lost="passed", fine="passed", own="failed", mended="passed", skip="passed")
    keep("felice", acl="failed", lost="failed", fine="passed", own="passed", mended="passed", skip="skipped")
    board = Scoreboard([suite])
    (row,) = board.rows
    assert [miss.case for miss in row.misses] == ["acl", "lost", "skip"]
    assert board.cause(row, "acl") == "no enforcement"
    assert board.cause(row, "lost") == UNEXPLAINED
    assert [miss.case for _, miss in board.unexplained()] == ["lost", "skip"]
    assert list(board.outdated()) == [("suite", "mended")]
    board.write()
    page = (tmp_path / "judges.md").read_text()
    assert "| suite | 5 | 1 | 0 | 3 | 2 | 1 | 3 |" in page
    assert "| suite | `lost` | failed | unexplained |" in page


def test_what_was_not_run_on_ours_is_no_miss(suite: Suite) -> None:
    """Without results of the embedded broker there is nothing to compare."""
    keep("kafka", one="passed")
    board = Scoreboard([suite])
    assert board.rows[0].misses == []
    assert board.rows[0].figures()[-4:] == ["-", "-", "-", "-"]


def test_an_order_names_cases_by_a_part_of_their_name() -> None:
    """Without words every case is wanted."""
    assert Order().wants("anything")
    assert Order(("0077", "acl")).wants("0077_compaction")
    assert not Order(("0077", "acl")).wants("0088")


def test_a_reason_is_one_line_of_bounded_length() -> None:
    """Colours and line ends go, and what is too long ends with a sign that it was."""
    assert brief("\x1b[31mone\n  two\x1b[0m") == "one two"
    assert brief("x" * 500, 10) == "xxxxxxxxx…"
