"""What an embedded server takes of the machine, within its bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from progress_context.local import sizing

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(("limit", "expected"), [(64, 128), (512, 128), (2_048, 512), (64 * 1_024, 8_192)])
def test_buffers_are_a_quarter_of_what_the_container_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, expected: int
) -> None:
    file = tmp_path / "memory.max"
    file.write_text(f"{limit * MEGABYTE}\n")
    monkeypatch.setattr(sizing, "MEMORY_LIMIT", file)
    monkeypatch.setattr(sizing.os, "sysconf", {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": 1 << 30}.__getitem__)
    assert sizing.buffer_megabytes() == expected


@pytest.mark.parametrize("text", [None, "max\n"])
def test_without_a_limit_the_machine_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "memory.max"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(sizing, "MEMORY_LIMIT", file)
    monkeypatch.setattr(sizing.os, "sysconf", {"SC_PAGE_SIZE": 4_096, "SC_PHYS_PAGES": 1 << 20}.__getitem__)
    assert sizing.buffer_megabytes() == 1_024


@pytest.mark.parametrize(("free", "expected"), [(1, 1_024), (60, 3_072), (900, 4_096)])
def test_the_write_ahead_log_is_a_twentieth_of_the_free_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: int
) -> None:
    asked: list[Path] = []

    class Usage:
        def __init__(self, path: Path) -> None:
            asked.append(path)
            self.free = free * 1_024 * MEGABYTE

    monkeypatch.setattr(sizing.shutil, "disk_usage", Usage)
    assert sizing.log_megabytes(tmp_path / "not" / "yet") == expected
    assert asked == [tmp_path]
