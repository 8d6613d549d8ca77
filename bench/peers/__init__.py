"""The peers: installed for the run into build/peers, driven by small programs of ours in their own words.

Each program takes a JSON object as its only argument and prints one, so all are measured alike.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).parent
HOME = Path("build/peers")
PYTHON_PACKAGES = HERE / "requirements.txt"
PYTHON_PEERS = ("eventsourcing", "psycopg", "duckdb")
NODE_PACKAGES = (
    "@event-driven-io/emmett@0.42.0",
    "@event-driven-io/emmett-postgresql@0.42.0",
    "postgraphile@5.1.5",
    "node@22.23.3",  # PostGraphile needs 22; the others run on the Node.js that is there
)
NODE_PEERS = ("@event-driven-io/emmett-postgresql", "postgraphile", "node")


def install() -> None:
    """Install the peers where they are not installed yet."""
    wanted = "\n".join((PYTHON_PACKAGES.read_text(), *NODE_PACKAGES))
    note = HOME / "installed"
    if note.exists() and note.read_text() == wanted:
        return
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
    _quietly([_python(), "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes",
              "-r", PYTHON_PACKAGES])  # fmt: skip
    _quietly(["npm", "install", "--prefix", HOME, "--no-save", "--no-package-lock", "--no-audit",
              "--no-fund", *NODE_PACKAGES])  # fmt: skip
    note.write_text(wanted)


def drive_python(program: str, **task: Any) -> dict[str, Any]:
    """Run `program`.py with the Python peer."""
    return _drive([_python(), HERE / f"{program}.py"], task)


def drive_node(program: str, **task: Any) -> dict[str, Any]:
    """Run `program`.mjs with the Node peer; it runs from where its packages are."""
    copied = shutil.copy(HERE / f"{program}.mjs", HOME)
    return _drive(["node", copied], task)


def command_of_node(program: str, **task: Any) -> list[str]:
    """The command that runs `program`.mjs with the Node.js among the packages until it is told to stop."""
    copied = shutil.copy(HERE / f"{program}.mjs", HOME)
    return [str(HOME / "node_modules/.bin/node"), str(copied), json.dumps(task)]


def versions_of_peers() -> str:
    """Their versions as installed."""
    code = (
        f"import importlib.metadata as m;print(', '.join(f'{{n}} {{m.version(n)}}' for n in {PYTHON_PEERS}))"
    )
    python = _quietly([_python(), "-c", code]).strip()
    node = (f"{name.rpartition('/')[2]} {_version(name)}" for name in NODE_PEERS)
    return ", ".join([python, *node])


def connection_environment(url: str) -> dict[str, str]:
    """The settings of `eventsourcing` for a database; functions in the database are its faster way."""
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": str(parts.hostname),
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_USER": str(parts.username),
        "POSTGRES_PASSWORD": str(parts.password),
        "POSTGRES_ENABLE_DB_FUNCTIONS": "yes",
        "POSTGRES_POOL_SIZE": "4",
    }


def _version(package: str) -> str:
    return json.loads((HOME / "node_modules" / package / "package.json").read_text())["version"]


def _python() -> Path:
    return HOME.absolute() / "venv/bin/python"


def _drive(command: list[Any], task: dict[str, Any]) -> dict[str, Any]:
    return json.loads(_quietly([*command, json.dumps(task)]))


def _quietly(command: list[Any]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[:3]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout
