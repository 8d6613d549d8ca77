"""`progress-context pubsub …` in this process, and Google's own clients in the same project."""

from __future__ import annotations

import sys
from typing import Protocol

import pytest

from progress_context.cli import main


class Run(Protocol):
    """Gives exit code and output of `progress-context pubsub …`."""

    def __call__(self, *arguments: str, **environment: str) -> tuple[int, str]: ...


class Command:
    """The command in this process, which saves its start; there is no terminal to answer on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, **environment: str) -> tuple[int, str]:
        with self._monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            patched.setattr(sys, "argv", ["progress-context", "pubsub", *arguments])
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), "".join(self._capsys.readouterr())
