"""The learning day and the zones it is counted in."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from progress_context.intake.learning_day import (
    iana_zone,
    learning_day,
    learning_day_in,
    zone_names,
    zone_of,
)

VECTORS = Path(__file__).parents[3] / "shared/data/day_boundary_vectors/vectors.json"


def golden_cases() -> list[Any]:
    if not VECTORS.exists():
        reason = "the golden cases lie in ../shared/data/day_boundary_vectors, which is absent"
        return [pytest.param({}, {}, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(case, event, id=f"{case['case']}-{event['occurred_at']}")
        for case in json.loads(VECTORS.read_text())["cases"]
        for event in case["events"]
    ]


@pytest.mark.parametrize(("case", "event"), golden_cases())
def test_golden_cases_fall_on_their_day(case: dict[str, Any], event: dict[str, Any]) -> None:
    occurred_at = datetime.fromisoformat(event["occurred_at"])
    day = learning_day(occurred_at, zone_of(case["tz"]), case["rollover_hour"])
    assert day == date.fromisoformat(event["learning_day"])


@pytest.mark.parametrize(
    ("utc", "hour", "expected"),
    [
        ("2026-03-29T00:59:59", 2, "2026-03-28"),  # 01:59:59 CET
        ("2026-03-29T01:00:00", 2, "2026-03-29"),  # 03:00 CEST: 02:00 does not exist
        ("2026-10-25T00:30:00", 2, "2026-10-25"),  # 02:30 CEST
        ("2026-10-25T01:30:00", 2, "2026-10-25"),  # 02:30 CET, the same hour again
        ("2026-10-25T00:30:00", 3, "2026-10-24"),
        ("2026-10-25T01:59:59", 3, "2026-10-24"),  # one day of 25 hours
        ("2026-10-25T02:00:00", 3, "2026-10-25"),
    ],
)
def test_the_day_turns_on_the_wall_clock_when_clocks_change(utc: str, hour: int, expected: str) -> None:
    occurred_at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert learning_day_in(occurred_at, "Europe/Paris", hour) == date.fromisoformat(expected)


def test_a_fixed_offset_counts_as_its_zone() -> None:
    occurred_at = datetime(2026, 3, 1, 19, 0, tzinfo=UTC)
    assert learning_day_in(occurred_at, "+05:30", 0) == date(2026, 3, 2)
    assert learning_day_in(occurred_at, "-05:30", 0) == date(2026, 3, 1)
    assert zone_of("-09:30").utcoffset(None) == -timedelta(hours=9, minutes=30)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        learning_day(datetime(2026, 3, 1), UTC, 0)


@pytest.mark.parametrize("hour", [-1, 24])
def test_a_rollover_hour_outside_the_day_is_refused(hour: int) -> None:
    with pytest.raises(ValueError, match="rollover_hour"):
        learning_day(datetime(2026, 3, 1, tzinfo=UTC), UTC, hour)


@pytest.mark.parametrize(
    "text",
    [
        "", "posixrules", "localtime", "Factory", "../../etc/passwd", "/etc/localtime", "Europe",
        "europe/paris", "Europe/Paris ", "posix/Europe/Paris", "right/Europe/Paris", "tzdata.zi",
        "zone.tab", "Europe/../Europe/Paris", "+5:30", "+16:00", "+05:60", "05:30", "+0530",
        "EST5EDT4", "Z", "Europe/Paris\0", "x" * 10_000,
    ],
)  # fmt: skip
def test_whatever_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        zone_of(text)


def test_an_offset_is_no_iana_name() -> None:
    with pytest.raises(ValueError, match="IANA"):
        iana_zone("+01:00")


def test_every_iana_name_loads() -> None:
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    assert len(zone_names()) > 500
    for name in zone_names():
        assert abs((learning_day_in(moment, name, 0) - date(2026, 7, 1)).days) <= 1
