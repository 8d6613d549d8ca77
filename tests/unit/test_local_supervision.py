"""Our services start together, come back after a crash, stop in order and never outlive us."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ports import free_port
from progress_context.errors import LocalError
from progress_context.local import supervision
from progress_context.local.supervision import ProcessGroup
from progress_context.local.tether import Tethered

WAIT = "import signal; print('waiting', flush=True); signal.pause()"
IGNORE_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + WAIT
TELL_PID = "import os; print('pid', os.getpid(), flush=True);"
LEAVE_WORKER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("worker", worker.pid, flush=True)
"""
HESITANT_SERVER = """
import http.server, sys
asked = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global asked
        asked += 1
        print("asked", self.path, asked, flush=True)
        self.send_response(200 if asked > 3 else 503)
        self.end_headers()

    def log_message(self, *arguments): pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
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


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def group(output: io.StringIO) -> Iterator[ProcessGroup]:
    group = ProcessGroup(output)
    yield group
    group.stop_all(timeout=0.0)


def test_every_line_appears_whole_behind_the_name(group: ProcessGroup, output: io.StringIO) -> None:
    write = "import os; os.write(2, b'one\\r\\n'); os.write(1, b'tw\\xffo\\nthree');"
    group.add("talker", python(write + "import signal; signal.pause()"))
    group.add("echo", python("import os; print(os.environ['GREETING'])"), {"GREETING": "hello"})
    group.start_all()
    eventually(lambda: "tw" in output.getvalue() and "hello" in output.getvalue())
    group.stop_all()
    written = output.getvalue().splitlines()
    talked = [line for line in written if line.startswith("talker")]
    assert talked == ["talker | one", "talker | tw\N{REPLACEMENT CHARACTER}o", "talker | three"]
    assert written.count("echo | hello") >= 1


def test_a_reader_that_went_away_stops_nobody(tmp_path: Path) -> None:
    closed = io.StringIO()
    closed.close()
    group = ProcessGroup(closed)
    more_than_a_pipe_holds = "import sys; print('line\\n' * 100000, flush=True);"
    done = tmp_path / "done"
    group.add("talker", python(more_than_a_pipe_holds + "open(sys.argv[1], 'w');" + WAIT, str(done)))
    group.start_all()
    eventually(done.exists)
    group.stop_all()


def test_all_are_ready_when_start_returns(group: ProcessGroup, output: io.StringIO) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/ready?full=1"
    group.add("plain", python(WAIT))
    group.add("server", python(HESITANT_SERVER, str(port)), ready_url=url)
    seen: list[str] = []
    group.start_all(seen.append)
    assert seen == ["plain", "server"]
    eventually(lambda: "asked /ready?full=1 4" in output.getvalue())


def test_a_child_that_ends_before_it_is_ready_stops_the_start(
    group: ProcessGroup, output: io.StringIO
) -> None:
    group.add("fine", python(TELL_PID + WAIT))
    url = f"http://127.0.0.1:{free_port()}/"
    group.add("broken", python("print('no such table'); raise SystemExit(2)"), ready_url=url)
    with pytest.raises(LocalError, match=r"broken ended before it was ready \(exited with status 2"):
        group.start_all()
    assert "broken | no such table" in output.getvalue()
    assert group.pid("fine") is None
    assert "starting it again" not in output.getvalue()


def test_a_child_that_never_gets_ready_stops_the_start(group: ProcessGroup) -> None:
    url = f"http://127.0.0.1:{free_port()}/health"
    group.add("dumb", python(WAIT), ready_url=url)
    with pytest.raises(LocalError, match=f"dumb does not become ready: no answer at {url}"):
        group.start_all(timeout=0.2)
    assert group.pid("dumb") is None


def test_a_crashed_child_comes_back(
    group: ProcessGroup, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_BACKOFF", 0.01)
    group.add("phoenix", python(TELL_PID + WAIT))
    group.start_all()
    eventually(lambda: output.getvalue().count("waiting") == 1)
    first = group.pid("phoenix")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: output.getvalue().count("waiting") == 2)
    assert numbers_after("pid", output.getvalue()) == [first, group.pid("phoenix")]
    assert "phoenix | ended by signal 9, Killed; starting it again in 0.01 s" in output.getvalue()


def test_the_pause_between_crashes_grows_to_its_limit(
    group: ProcessGroup, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(supervision, "LAST_BACKOFF", 0.03)
    group.add("hopeless", python("raise SystemExit(3)"))
    group.start_all()
    said = "hopeless | exited with status 3; starting it again in {} s"
    eventually(lambda: output.getvalue().count("again") >= 4)
    group.stop_all()
    expected = [said.format(pause) for pause in ("0.01", "0.02", "0.03", "0.03")]
    assert output.getvalue().splitlines()[:4] == expected


def test_a_steady_child_is_forgiven_its_old_crashes(
    group: ProcessGroup, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(supervision, "STEADY_SECONDS", 0.0)
    group.add("veteran", python("raise SystemExit(3)"))
    group.start_all()
    eventually(lambda: output.getvalue().count("again in 0.01 s") >= 3)


def test_workers_of_a_crashed_child_do_not_linger(group: ProcessGroup, output: io.StringIO) -> None:
    group.add("boss", python(LEAVE_WORKER + "raise SystemExit(1)"))
    group.start_all()
    eventually(lambda: "starting it again" in output.getvalue())
    (worker,) = numbers_after("worker", output.getvalue())
    eventually(lambda: not is_alive(worker))


def test_children_are_asked_to_stop_in_the_order_they_were_added(
    group: ProcessGroup, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["command", "projection", "query"]
    for name in names:
        group.add(name, python(WAIT))
    group.start_all()
    eventually(lambda: output.getvalue().count("waiting") == 3)
    pids = [group.pid(name) for name in names]
    asked: list[tuple[int, signal.Signals]] = []
    send = Tethered.send_signal

    def record(self: Tethered, number: signal.Signals) -> None:
        asked.append((self.pid, number))
        send(self, number)

    monkeypatch.setattr(Tethered, "send_signal", record)
    group.stop_all()
    assert asked == [(pid, signal.SIGTERM) for pid in pids]
    assert [group.pid(name) for name in names] == [None, None, None]
    assert "again" not in output.getvalue()


def test_a_child_may_finish_its_work_after_sigterm(group: ProcessGroup, output: io.StringIO) -> None:
    finish = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(print('finished')));"
    group.add("diligent", python(finish + WAIT))
    group.start_all()
    eventually(lambda: "waiting" in output.getvalue())
    group.stop_all()
    assert "diligent | finished" in output.getvalue()
    assert "killed" not in output.getvalue()


def test_a_child_that_does_not_stop_is_killed(group: ProcessGroup, output: io.StringIO) -> None:
    group.add("stubborn", python(LEAVE_WORKER + IGNORE_TERM))
    group.start_all()
    eventually(lambda: "waiting" in output.getvalue())
    begin = time.monotonic()
    group.stop_all(timeout=0.2)
    assert time.monotonic() - begin < 5
    assert group.pid("stubborn") is None
    assert "stubborn | did not end in time and is killed" in output.getvalue()
    (worker,) = numbers_after("worker", output.getvalue())
    eventually(lambda: not is_alive(worker))


def test_ctrl_c_in_our_terminal_does_not_reach_the_children(group: ProcessGroup, output: io.StringIO) -> None:
    group.add("child", python(WAIT))
    group.start_all()
    eventually(lambda: "waiting" in output.getvalue())
    pid = group.pid("child")
    assert pid is not None
    assert os.getsid(pid) == os.getpgid(pid) == pid


def test_a_program_that_does_not_exist_is_told(group: ProcessGroup, output: io.StringIO) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    group.add("ghost", ["/nonexistent/program"], ready_url=url)
    with pytest.raises(LocalError, match=r"ghost ended .* status 127"):
        group.start_all()
    assert "/nonexistent/program" in output.getvalue()
