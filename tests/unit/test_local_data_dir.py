"""The default data folder follows the conventions of the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from progress_context.errors import LocalError
from progress_context.local import data_dir
from progress_context.local.data_dir import default_data_dir


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ordinary user on Linux with an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(data_dir.sys, "platform", "linux")
    return tmp_path


def test_it_is_made_below_the_home_and_closed_to_others(home: Path) -> None:
    folder = default_data_dir()
    assert folder == home / ".local/share/progress-context"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert default_data_dir() == folder


def test_xdg_data_home_comes_first_even_for_root(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "xdg"))
    assert default_data_dir() == home / "xdg/progress-context"
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: 0)
    assert default_data_dir() == home / "xdg/progress-context"


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_an_empty_or_relative_xdg_data_home_is_ignored(
    home: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", value)
    assert default_data_dir() == home / ".local/share/progress-context"


def test_macos_has_a_place_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_dir.sys, "platform", "darwin")
    assert default_data_dir() == home / "Library/Application Support/progress-context"


def test_root_uses_var_lib(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_dir, "SYSTEM_DATA_HOME", home / "var/lib")
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: 0)
    assert default_data_dir() == home / "var/lib/progress-context"


def test_root_falls_back_to_its_home_where_var_lib_cannot_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setattr(data_dir, "SYSTEM_DATA_HOME", home / "file")
    monkeypatch.setattr(data_dir.os, "geteuid", lambda: 0)
    assert default_data_dir() == home / ".local/share/progress-context"


def test_a_folder_that_cannot_be_made_is_named(home: Path) -> None:
    (home / ".local").touch()
    with pytest.raises(LocalError, match=r"\.local/share/progress-context cannot be made"):
        default_data_dir()


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(LocalError, match="no home folder"):
        default_data_dir()
    assert os.geteuid() == 1000
