"""Reports: the figures of a learner's day, week or month, told once when it is over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import asyncpg

from progress_context.engine.maintain import PLAN_BY_INDEX
from progress_context.log.database import Connection, fetch_one, statement

Kind = Literal["daily", "weekly", "monthly"]

LEARNERS_AT_ONCE = 500
LATEST_ZONE = timedelta(hours=12)  # a date ends last at UTC-12
ONE_DAY = timedelta(days=1)
APPEND = "SELECT * FROM log.append_own($1, $2, $3, $4, $5, $6)"


class Period(NamedTuple):
    """A day, an ISO week or a calendar month, from its first to its last learning day."""

    kind: Kind
    first_day: date
    last_day: date


class Report(NamedTuple):
    """A report as it stands in the log at `position`; `made` says whether it was told just now."""

    learner_id: str
    position: int
    made: bool
    data: dict[str, Any]


def period_of(kind: Kind, day: date) -> Period:
    """The period with this day in it."""
    if kind == "daily":
        return Period(kind, day, day)
    if kind == "weekly":
        monday = day - timedelta(days=day.weekday())
        return Period(kind, monday, monday + timedelta(days=6))
    first = day.replace(day=1)
    return Period(kind, first, (first + timedelta(days=31)).replace(day=1) - ONE_DAY)


def last_day_over(now: datetime, rollover_hour: int) -> date:
    """The newest learning day that is over in every zone, where days begin at `rollover_hour`."""
    return (now.astimezone(UTC) - LATEST_ZONE - timedelta(hours=rollover_hour)).date() - ONE_DAY


def newest_over(kind: Kind, over: date) -> Period:
    """The newest period whose days are all over, given the newest day that is."""
    period = period_of(kind, over)
    return period if period.last_day <= over else period_of(kind, period.first_day - ONE_DAY)


async def active_learners(connection: Connection, period: Period) -> AsyncIterator[tuple[list[int], int]]:
    """The learners who did anything in a period, some at a time, each time with the last key looked at."""
    after: int | None = 0
    while after is not None:
        row = await fetch_one(
            connection, statement(__package__, "reported_learners"),
            period.first_day, period.last_day, after, LEARNERS_AT_ONCE,
        )  # fmt: skip
        after = row["last"]
        if after is not None:
            yield row["learners"], after


async def make(
    connection: Connection, period: Period, learners: Sequence[int], now: datetime
) -> list[Report]:
    """The reports of some learners, by key; those that do not exist yet are told now, in one commit."""
    name = f"report:{period.kind}:{period.first_day}:"
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(PLAN_BY_INDEX)
        behind = await fetch_one(connection, statement(__package__, "behind"))
        rows = await connection.fetch(
            statement(__package__, "report"), period.first_day, period.last_day, learners, name
        )
    fresh = {row["id"]: _data(period, behind["visible"], row) for row in rows if row["position"] is None}
    told = await _tell(connection, period, [row for row in rows if row["id"] in fresh], fresh, now)
    return [
        told.get(row["id"]) or Report(row["learner_id"], row["position"], False, json.loads(row["data"]))
        for row in rows
    ]


def _data(period: Period, position: int, row: asyncpg.Record) -> dict[str, Any]:
    return {
        "period": period.kind,
        "first_day": period.first_day.isoformat(),
        "last_day": period.last_day.isoformat(),
        "position": position,
        "figures": json.loads(row["figures"]),
    }


async def _tell(
    connection: Connection,
    period: Period,
    rows: Sequence[asyncpg.Record],
    data: dict[str, dict[str, Any]],
    now: datetime,
) -> dict[str, Report]:
    """By name; what another process told meanwhile is as good as ours."""
    if not rows:
        return {}
    sent = await connection.fetch(
        APPEND,
        [row["id"] for row in rows],
        ["progress.ReportGenerated"] * len(rows),
        [row["learner_key"] for row in rows],
        [now] * len(rows),
        [period.last_day] * len(rows),
        [json.dumps(data[row["id"]]) for row in rows],
    )
    whose = {row["id"]: row["learner_id"] for row in rows}
    return {
        event["id"]: Report(whose[event["id"]], event["position"], event["stored"], data[event["id"]])
        for event in sent
    }
