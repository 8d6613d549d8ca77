"""The emulators that a contract can be asked of."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from pubsub_emulator.control import RemoteControl
from pubsub_emulator.official import OfficialProcess, official_jar
from pubsub_emulator.process import EmulatorProcess


@dataclass(frozen=True)
class Backend:
    """A running emulator. Ours can put its clock forward; of Google's the tests wait for what they expect."""

    name: str
    address: str
    control: RemoteControl | None = None

    def advance(self, seconds: float) -> None:
        """Let time pass, where it can be helped."""
        if self.control:
            self.control.advance(seconds)


@contextmanager
def running(name: str, port: int) -> Generator[Backend | None]:
    """`ours` or `google`; none where Google's is not installed."""
    jar = official_jar()
    if name == "ours":
        with EmulatorProcess("--port", str(port)) as emulator:
            yield Backend("ours", emulator.address, emulator.control)
    elif jar is None:
        yield None
    else:
        with OfficialProcess(jar, port) as emulator:
            yield Backend("google", emulator.address)
