"""`progress-context report`: right figures, made once, by the real command on a real system."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import running_system

from acceptance.system import array, checkpoints, database_of, fetch, head, judged, post, told
from progress_context.news.report import Period, last_day_over, newest_over, period_of
from waiting import eventually

MONDAY = date(2026, 3, 2)  # long over, and in the middle of a month that begins on a Sunday


@pytest.fixture(scope="module")
def database(scratch: Path) -> Iterator[str]:
    """A system in which ada learned on two days of a week and one of the next, and bob on one."""
    folder = scratch / "reports"
    with running_system(folder) as system:
        events = [
            *(_judged("ada", 0, judgment) for judgment in ("AutoConfirmed", "UserConfirmedIncorrect")),
            _judged("ada", 6, "UserConfirmedCorrect"),
            _judged("ada", 7, "UserConfirmedCorrect"),
            _completed("ada", 6, 90.5),
            _judged("bob", 6, "UserConfirmedIncorrect"),
        ]
        answer = post(
            system.command_url,
            array([json.dumps(event).encode() for event in events]),
            "application/cloudevents-batch+json",
        )
        assert answer.status_code == 201, answer.text
        url = database_of(folder)
        eventually(lambda: checkpoints(url) == {head(url)})
        yield url


def _on(day: int) -> str:
    return f"{MONDAY + timedelta(days=day)}T12:00:00Z"


def _judged(learner: str, day: int, judgment: str) -> dict[str, Any]:
    return judged(subject=learner, time=_on(day), data={"item_id": "i1", "judgment": judgment})


def _completed(learner: str, day: int, seconds: float) -> dict[str, Any]:
    event = told("learning.SessionCompleted", session_id="s1", duration_seconds=seconds)
    return event | {"subject": learner, "time": _on(day)}


def run(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "progress_context", "report", *arguments],
        env={**os.environ, "DATABASE_URL": database, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def made(database: str, *arguments: str) -> list[dict[str, Any]]:
    done = run(database, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def reports_in_log(database: str) -> int:
    query = "SELECT count(*) FROM log.events WHERE type = 'progress.ReportGenerated'"
    return fetch(database, query)[0][0]


def test_a_weeks_report_has_the_figures_of_its_days(database: str) -> None:
    [report] = made(database, "weekly", "--learner", "ada", "--date", str(MONDAY + timedelta(days=3)))
    assert report["status"] == "made"
    assert (report["first_day"], report["last_day"]) == ("2026-03-02", "2026-03-08")
    assert report["figures"] == {
        "active_days": 2, "sessions": 1, "activities": 0, "reviews": 3, "correct": 2, "accuracy": 2 / 3,
        "new_items": 1, "items_mastered": 0, "study_seconds": 90.5,
    }  # fmt: skip


def test_it_is_made_once_and_shown_as_it_was_made(database: str) -> None:
    arguments = ("daily", "--learner", "ada", "--date", str(MONDAY))
    before = reports_in_log(database)
    [first] = made(database, *arguments)
    [again] = made(database, *arguments)
    assert again == first | {"status": "exists"}
    assert reports_in_log(database) == before + 1
    (row,) = fetch(
        database, "SELECT data::text, learning_day FROM log.events WHERE position = $1", first["event"]
    )
    assert json.loads(row["data"])["figures"] == first["figures"]
    assert row["learning_day"] == MONDAY
    assert "exists already" in run(database, *arguments).stderr


def test_everybody_who_did_anything_gets_one(database: str) -> None:
    monthly = made(database, "monthly", "--all", "--date", str(MONDAY))
    assert {each["learner"]: each["figures"]["reviews"] for each in monthly} == {"ada": 4, "bob": 1}
    second_day = ("daily", "--all", "--date", str(MONDAY + timedelta(days=7)))
    assert [each["learner"] for each in made(database, *second_day)] == ["ada"]
    assert "0 reports made, 1 existed already" in run(database, *second_day).stderr


def test_a_learner_who_did_nothing_gets_zeros_when_asked_for(database: str) -> None:
    [report] = made(database, "daily", "--learner", "bob", "--date", str(MONDAY))
    assert report["figures"]["accuracy"] is None
    assert sum(value or 0 for value in report["figures"].values()) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["weekly"], 2, "--learner ID, or --all"),
        (["weekly", "--learner", "ada", "--all"], 2, "--learner ID, or --all"),
        (["daily", "--learner", "nobody"], 1, "'nobody'"),
        (["daily", "--all", "--date", str(datetime.now(UTC).date())], 2, "not over everywhere yet"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    database: str, arguments: list[str], code: int, words: str
) -> None:
    done = run(database, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""


def test_a_report_is_no_activity(database: str) -> None:
    made(database, "monthly", "--all", "--date", str(MONDAY))
    eventually(lambda: checkpoints(database) == {head(database)})
    (days,) = fetch(
        database, "SELECT count(*) FROM read.daily_stats WHERE reviews + sessions + activities > 0"
    )
    assert days[0] == 4


@pytest.mark.parametrize(
    ("kind", "day", "first", "last"),
    [
        ("daily", date(2026, 2, 28), date(2026, 2, 28), date(2026, 2, 28)),
        ("weekly", date(2026, 3, 1), date(2026, 2, 23), date(2026, 3, 1)),
        ("weekly", date(2026, 3, 2), date(2026, 3, 2), date(2026, 3, 8)),
        ("monthly", date(2024, 2, 29), date(2024, 2, 1), date(2024, 2, 29)),
        ("monthly", date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)),
    ],
)
def test_periods(kind: Any, day: date, first: date, last: date) -> None:
    assert period_of(kind, day) == Period(kind, first, last)


@pytest.mark.parametrize(
    ("hour", "rollover", "day"),
    [
        (11, 0, date(2026, 3, 1)),
        (12, 0, date(2026, 3, 2)),
        (15, 4, date(2026, 3, 1)),
        (16, 4, date(2026, 3, 2)),
    ],
)
def test_a_day_is_over_when_it_is_over_everywhere(hour: int, rollover: int, day: date) -> None:
    assert last_day_over(datetime(2026, 3, 3, hour, tzinfo=UTC), rollover) == day


def test_without_a_date_the_newest_period_that_is_over_is_meant() -> None:
    assert newest_over("weekly", date(2026, 3, 8)) == period_of("weekly", date(2026, 3, 8))
    assert newest_over("weekly", date(2026, 3, 9)) == period_of("weekly", date(2026, 3, 8))
    assert newest_over("monthly", date(2026, 3, 30)) == period_of("monthly", date(2026, 2, 1))
