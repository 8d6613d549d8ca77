"""The emulator as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

from pubsub_emulator.control import RemoteControl


class EmulatorProcess:
    """`python -m pubsub_emulator` on a free port while the `with` block runs; `control` turns its switches."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pubsub_emulator", *self._arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        if not self.address:
            raise RuntimeError(f"the emulator ended with exit code {self._process.wait()}")
        self.control = RemoteControl(self.address)
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        self._process.terminate()
        self._process.communicate(timeout=10)
