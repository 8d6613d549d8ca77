"""What was measured on, with which versions, by which command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from bench.database import BenchServer
from bench.harness import console
from bench.peers import versions_of_peers

OURS = (
    "asyncpg",
    "uvicorn",
    "httptools",
    "starlette",
    "graphql-core",
    "msgspec",
    "uvloop",
    "google-cloud-pubsub",
    "grpcio",
)


def about(server: BenchServer, *, beside_peers: bool = True) -> dict[str, str]:
    """Machine, versions, settings and command of this run; peers must be installed to be shown."""
    found = _about_us(server)
    if beside_peers:
        found["peers"] = f"Node {_output('node', '--version')}, {versions_of_peers()}"
    return found


def _about_us(server: BenchServer) -> dict[str, str]:
    settings = server.settings()
    postgres = f"PostgreSQL {settings.pop('server_version')}"
    return {
        "command": " ".join(["python", "-m", f"bench.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": ", ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
        "server": f"{postgres}; " + ", ".join(f"{name} {value}" for name, value in settings.items()),
        "commit": _output("git", "describe", "--always", "--dirty") or "none",
        "ours": f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in OURS),
    }


def show(facts: dict[str, str]) -> None:
    """Print them."""
    table = Table(box=None, show_header=False)
    for name, value in facts.items():
        table.add_row(f"[bold]{name}[/]", value)
    console.print(table)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    """What a program prints; nothing where it fails, as git does outside a repository."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
