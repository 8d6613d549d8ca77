"""The soak of `make soak`, short: every part killed or frozen under load, and nothing is lost or counted twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from soak.chaos import faults
from soak.system import SERVICES
from waiting import eventually

SECONDS, RATE, SEED = 90, 300, 5326  # a lease is lost and commits are in doubt among the first faults
RECOVERY = 60  # seconds: other tests run beside this one
PARTS = ("postgres", "valkey", "emulator", *SERVICES)
TESTS = Path(__file__).parents[1]


@contextmanager
def soaking(folder: Path, *arguments: object) -> Generator[subprocess.Popen[str]]:
    """`python -m soak` with its lines in `soak.out` of the folder."""
    command = [sys.executable, "-m", "soak", *map(str, arguments), "--keep", str(folder / "data")]
    with (folder / "soak.out").open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()  # nothing outlives it
        process.wait()


@pytest.mark.timeout(SECONDS + 600)
def test_nothing_is_lost_or_counted_twice_whatever_dies(scratch: Path) -> None:
    folder = scratch / "soak"
    folder.mkdir()
    with soaking(
        folder, "--seconds", SECONDS, "--rate", RATE, "--seed", SEED, "--recovery", RECOVERY
    ) as process:
        status = process.wait(timeout=SECONDS + 500)
    said = (folder / "soak.out").read_text()
    assert status == 0, said
    assert f"everything held. Again: --seconds {SECONDS} --rate {RATE} --seed {SEED}" in said
    befallen = re.findall(r"^ +[\d.]+ s  ([\w ]+?) +(?:killed|frozen).* recovered in", said, re.MULTILINE)
    assert set(befallen) == set(PARTS), said


def test_ctrl_c_stops_everything(scratch: Path) -> None:
    folder = scratch / "soak-interrupted"
    folder.mkdir()
    with soaking(folder, "--rate", 50, "--seed", 1) as process:
        eventually(lambda: "recovered in" in said(process, folder), timeout=120)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert len(started) > 6
        eventually(lambda: not any(each.is_running() for each in started))
    assert "interrupted; everything is stopped. Again: --seconds 600 --rate 50 --seed 1" in said(
        process, folder
    )


def said(process: subprocess.Popen[str], folder: Path) -> str:
    lines = (folder / "soak.out").read_text()
    assert process.poll() in (None, 130), lines
    return lines


def test_a_seed_decides_what_befalls_whom() -> None:
    first = list(zip(range(28), faults(list(PARTS), 7), strict=False))
    assert first == list(zip(range(28), faults(list(PARTS), 7), strict=False))
    assert first != list(zip(range(28), faults(list(PARTS), 8), strict=False))
    befallen = [(fault.part, fault.how) for _, fault in first]
    assert len(set(befallen[:14])) == 14
    assert {part for part, _ in befallen[:7]} == set(PARTS)
