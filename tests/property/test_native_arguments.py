"""Whatever the compiled modules are called with, they answer or raise; they never take the interpreter down."""

import subprocess
import sys

import pytest

MODULES = ("felice.wire._records", "felice.producer._accumulator", "felice.consumer._batch")

SCRIPT = """
import faulthandler, importlib, inspect, itertools, random, sys
faulthandler.enable()
module = importlib.import_module(sys.argv[1])
rng = random.Random(int(sys.argv[2]))
from felice.broker import Broker  # nothing of it is used: its import loads what the modules refer to
junk = [None, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 2**70, 1.5, "", "x", b"", b"x" * 100, bytearray(70)]
junk += [[], [None], [1], {}, {"a": 1}, (), (1, 2), object(), len, True, Exception("x"), iter([]), memoryview(b"abc")]
junk.append(lambda *a, **k: 1)
made = []
calls = 0

def attempt(function):
    global calls
    for size in (0, 1, 2, 3, 4, 6):
        for _ in range(6):
            arguments = [rng.choice(made if made and rng.random() < 0.3 else junk) for _ in range(size)]
            try:
                result = function(*arguments)
                calls += 1
                if inspect.iscoroutine(result):
                    result.close()
                if type(result).__module__ == module.__name__:
                    made.append(result)
            except Exception:
                pass

for _ in range(3):
    for name, value in sorted(vars(module).items()):
        if name.startswith("__"):
            continue
        if inspect.isclass(value) and value.__module__ == module.__name__:
            attempt(value)
        elif callable(value) and getattr(value, "__module__", None) == module.__name__:
            attempt(value)
    del made[200:]
    for thing in list(made):
        for name in dir(thing):
            if name in ("__reduce__", "__reduce_ex__", "__class__", "__init_subclass__", "__subclasshook__"):
                continue
            try:
                found = getattr(thing, name)
            except Exception:
                continue
            if callable(found) and not inspect.isclass(found):
                attempt(found)
        for ask in (repr, len, list, bytes, iter, hash):
            try:
                ask(thing)
            except Exception:
                pass
print(calls)
"""


@pytest.mark.parametrize("module", MODULES)
def test_junk_arguments_raise_and_never_crash(module: str, seed: int) -> None:
    """Every function, class and method takes thousands of senseless calls in a process that lives on."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, module, str(seed)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, f"seed {seed}: exit {done.returncode}\n{done.stderr[-3000:]}"
    assert int(done.stdout.split()[-1]) > 20
