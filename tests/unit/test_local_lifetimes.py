"""Nothing that we start outlives us, and a signal to us reaches it in an orderly way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from progress_context.local.tether import Tethered

WAIT = "import signal; print('waiting', flush=True); signal.pause()"
IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAIT
TELL_PID = "import os; print('pid', os.getpid(), flush=True);"
LEAVE_WORKER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("worker", worker.pid, flush=True)
"""

PAUSE = threading.Event()


def python(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-I", "-c", script, *arguments]


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        PAUSE.wait(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def numbers_after(word: str, text: str) -> list[int]:
    """The numbers that follow a word in what children have written."""
    words = text.split()
    return [int(number) for name, number in pairwise(words) if name == word]


SUPERVISOR = """
import signal, sys
from progress_context.local.supervision import ProcessGroup

group = ProcessGroup(sys.stdout)
group.add("child", [sys.executable, "-I", "-c", sys.argv[1]])
group.start_all()
print("received", group.run_until_signal().name, flush=True)
group.stop_all(timeout=60)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("done", group.pid("child"), flush=True)
"""


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read lines of a process up to the one that contains a text, and return that."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came")


@pytest.fixture
def supervise() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a supervising process of its own around a child script."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", SUPERVISOR, script]
        started.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


Supervise = Callable[[str], "subprocess.Popen[str]"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_waiting_and_everything_stops(supervise: Supervise, number: signal.Signals) -> None:
    process = supervise(WAIT)
    read_until(process, "waiting")
    process.send_signal(number)
    assert read_until(process, "received") == f"received {number.name}\n"
    assert read_until(process, "done") == "done None\n"
    assert process.wait(10) == 0


def test_a_second_ctrl_c_kills_at_once(supervise: Supervise) -> None:
    process = supervise(IGNORE_TERM)
    read_until(process, "waiting")
    process.send_signal(signal.SIGINT)
    read_until(process, "received")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert read_until(process, "done") == "done None\n"
    assert time.monotonic() - begin < 20, "it waited for the child instead"
    assert process.wait(10) == 0


def test_children_and_their_workers_end_when_the_supervisor_is_killed(
    supervise: Supervise,
) -> None:
    process = supervise(LEAVE_WORKER + TELL_PID + WAIT)
    (worker,) = numbers_after("worker", read_until(process, "worker"))
    (child,) = numbers_after("pid", read_until(process, "pid"))
    assert is_alive(child)
    process.kill()
    eventually(lambda: not is_alive(child))
    eventually(lambda: not is_alive(worker))


ORPHAN = """
import sys
from progress_context.local.tether import Tethered

child = Tethered([sys.executable, "-I", "-c", sys.argv[1]], grace=1)
print(child.output.readline().decode(), child.pid, flush=True)
sys.stdin.read()
"""


def test_an_orphan_that_ignores_its_signal_is_killed_in_the_end() -> None:
    argv = [sys.executable, "-c", ORPHAN, IGNORE_TERM]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, text=True) as parent:
        (child,) = numbers_after("waiting", read_until(parent, "waiting") + read_until(parent, ""))
        parent.kill()
    eventually(lambda: not is_alive(child))


def test_a_child_lives_on_when_the_thread_that_started_it_ends() -> None:
    """What `PR_SET_PDEATHSIG` gets wrong."""
    children: list[Tethered] = []
    thread = threading.Thread(target=lambda: children.append(Tethered(python(WAIT))))
    thread.start()
    thread.join()
    (child,) = children
    assert child.output.readline() == b"waiting\n"
    assert child.wait(0.2) is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == -signal.SIGTERM
    child.output.close()
