"""Children with a deadline: read line by line, and ended with all that they started, whatever happens here."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

GRACE = 3.0  # seconds between asking a child to end and ending it


class DeadlineError(Exception):
    """A child was not done in time; says which, and how long it had."""


class Child:
    """A child in a session of its own, so that Ctrl-C here is for us alone and its children end with it by its ID.

    Both its outputs come together as `lines`.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        folder: Path | None = None,
        extra: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Prepare a command, run in `folder` with `extra` variables, what it says copied to the end of `log`."""
        self._command = [str(part) for part in command]
        self._folder = folder
        self._variables = {**os.environ, **(extra or {})}
        self._log = log
        self._said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A broken connection is an error to a child, as to us, and not its end: librdkafka's runner would be
            # ended by a signal when it closes the sockets beneath its own clients.
            restore_signals=False,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def returncode(self) -> int | None:
        """How the child ended, None while it runs."""
        return self._process.poll()

    def lines(self, seconds: float) -> Iterator[str]:
        """Yield what the child says, until it ends.

        Raises DeadlineError when that takes longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise DeadlineError(f"{Path(self._command[0]).name}: not done within {seconds:.0f} s") from None
            if line is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE)
                return
            yield line

    def end(self) -> None:
        """End the child and whatever of its session is left: first asked to, then not asked."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self._reader.join(GRACE)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.ExitStack() as stack:
            out = stack.enter_context(self._process.stdout)
            log = stack.enter_context(self._log.open("ab")) if self._log else None
            for line in out:
                if log:
                    log.write(line)
                    log.flush()
                self._said.put(line.decode(errors="replace").rstrip("\r\n"))
        self._said.put(None)


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit status, and what it said on both outputs."""

    status: int
    text: str


def run(
    command: Sequence[str | Path],
    seconds: float,
    *,
    folder: Path | None = None,
    extra: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> Done:
    """Run a command to its end, whatever that is; the arguments are `Child`'s.

    Raises DeadlineError, having ended it, when it takes longer than `seconds`.
    """
    with Child(command, folder=folder, extra=extra, log=log) as child:
        text = "\n".join(child.lines(seconds))
        child.end()
        return Done(child.returncode or 0, text)
