"""Google's own emulator, where a Google Cloud SDK with it is installed: a second opinion."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Self

from waiting import eventually

SDK_FOLDERS = (
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
    "/opt/homebrew/share/google-cloud-sdk",
    "/snap/google-cloud-cli/current",
    "~/google-cloud-sdk",
)
JARS = "platform/pubsub-emulator/lib/cloud-pubsub-emulator*.jar"


def official_jar() -> Path | None:
    """The emulator's program, if it and `java` are on this machine."""
    folders = [os.environ.get("CLOUDSDK_ROOT_DIR", ""), *SDK_FOLDERS]
    found = [jar for folder in folders if folder for jar in Path(folder).expanduser().glob(JARS)]
    return found[0] if found and shutil.which("java") else None


class OfficialProcess:
    """Google's emulator on `port` while the `with` block runs."""

    def __init__(self, jar: Path, port: int) -> None:
        self._jar = jar
        self._port = port
        self.address = f"127.0.0.1:{port}"

    def __enter__(self) -> Self:
        command = ["java", "-Xmx256m", "-jar", str(self._jar), "--host=127.0.0.1", f"--port={self._port}"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, timeout=60)
        return self

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"{self._jar.name} ended with exit code {self._process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=20)
