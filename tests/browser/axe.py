"""axe-core, the checker of accessibility, from npm into build/: nothing of it is shipped."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VERSION = "4.10.3"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
RUN = f"""async () => {{
  const {{ violations }} = await axe.run(document, {{ runOnly: {list(RULES)} }});
  return violations.map(({{ id, help, nodes }}) => [id, help, nodes.map((node) => node.target.join(" "))]);
}}"""


def axe_script(build: Path) -> str:
    """The text of axe-core; skips the test where npm cannot fetch it."""
    script = build / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        _install(build / "axe")
    return script.read_text("utf-8")


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: axe-core cannot be fetched")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--no-save", f"axe-core@{VERSION}"]
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"axe-core cannot be installed from npm: {error}")
