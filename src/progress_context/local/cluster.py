"""The files of a PostgreSQL cluster: made by initdb, checked before every start."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from progress_context.errors import LocalError
from progress_context.local.account import Account, as_account, inside
from progress_context.local.programs import environment, program_version

OWNER = "progress"
DATABASE = "progress"

_PID_LINE = 0
_STATUS_LINE = 7


def make(folder: Path, program: Path, password: str, account: Account | None) -> None:
    """Make a cluster with owner, password and database; a crash on the way leaves none.

    Raises LocalError with what initdb has to say.
    """
    draft = folder.with_name(f"{folder.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if account is not None:
        account.own(draft)
    _run_initdb(draft, program.with_name("initdb"), password, account)
    _create_database(draft, program, account)
    draft.replace(folder)
    _sync(folder.parent)


def check_version(folder: Path, program: Path) -> None:
    """Raise LocalError unless the cluster was made by the program's major version."""
    made_by = (folder / "PG_VERSION").read_text().strip()
    version = program_version(program).split()[-1]
    if version.split(".")[0] != made_by:
        raise LocalError(
            f"{folder} was made by PostgreSQL {made_by}, and PostgreSQL {version} cannot open it; "
            "move its data with pg_dump, or use another data folder"
        )


def read_status(folder: Path) -> tuple[int, str] | None:
    """Process id and status (`starting`, `ready`, `stopping` …) by postmaster.pid, if it exists."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
        return int(lines[_PID_LINE]), lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""
    except (OSError, ValueError, IndexError):
        return None


def pid_file_stamp(folder: Path) -> int | None:
    """Changes whenever postmaster.pid is written; `None` without one."""
    try:
        return (folder / "postmaster.pid").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def clear_stale_pid_file(folder: Path) -> None:
    """Remove a postmaster.pid whose process id now belongs to some other program.

    PostgreSQL itself ignores the file only when no such process exists; after a reboot, and always
    in a container, an unrelated one may have taken the number. Raises LocalError if a server that
    is not ours works in the folder.
    """
    status = read_status(folder)
    if status is None or not Path(f"/proc/{status[0]}").exists():
        return
    pid = status[0]
    try:
        works_here = Path(f"/proc/{pid}/cwd").samefile(folder)
    except FileNotFoundError:
        return
    except PermissionError:  # PostgreSQL runs as the owner of the folder, as we do
        works_here = False
    if works_here:
        raise LocalError(f"{folder} is in use: PostgreSQL runs there as process {pid}")
    (folder / "postmaster.pid").unlink()


def _run_initdb(folder: Path, initdb: Path, password: str, account: Account | None) -> None:
    # With C.UTF-8 text sorts as in C, and upper and lower know more than English.
    options = (
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    )
    with tempfile.TemporaryFile() as secret:
        secret.write(f"{password}\n".encode())
        secret.seek(0)
        if account is not None:
            os.fchown(secret.fileno(), account.uid, account.gid)
        access = (f"--username={OWNER}", "--auth=scram-sha-256", "--pwfile=/dev/stdin")
        where = ("--no-instructions", "-D", inside(folder, account))
        _run([str(initdb), *options, *access, *where], folder, account, secret)


def _create_database(folder: Path, program: Path, account: Account | None) -> None:
    with tempfile.TemporaryFile() as statements:
        statements.write(f"CREATE DATABASE {DATABASE} OWNER {OWNER}\n".encode())
        statements.seek(0)
        where = ("-D", inside(folder, account), "-c", "exit_on_error=on", "postgres")
        _run([str(program), "--single", *where], folder, account, statements)


def _sync(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(argv: list[str], folder: Path, account: Account | None, stdin: IO[bytes]) -> None:
    done = subprocess.run(  # noqa: S603 - the programs of the wheel
        argv,
        cwd=folder,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environment(),
        **as_account(account),
    )
    if done.returncode != 0:
        raise LocalError(f"a new PostgreSQL cluster cannot be made:\n{done.stdout}")
