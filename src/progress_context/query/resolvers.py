"""The fields of Query, each one question to the snapshot of its request."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
from graphql import GraphQLResolveInfo

from progress_context.engine.columns import suggest
from progress_context.engine.definition import Policy
from progress_context.errors import QueryError
from progress_context.query.snapshot import Snapshot

MAX_DAYS = 3_660
MAX_PAGE = 500

Row = dict[str, Any]
DateRange = dict[str, date]


@dataclass(slots=True)
class Context:
    """What every resolver gets: one snapshot per request."""

    snapshot: Snapshot
    policy: Policy


async def daily_stats(
    _root: object,
    info: GraphQLResolveInfo[Any],
    userId: str,  # noqa: N803 - the names of the API
    date: date | None = None,
    dateRange: DateRange | None = None,  # noqa: N803
    **_: object,
) -> list[Row]:
    """Days of a learner, zeros included."""
    context: Context = info.context
    if date is not None and dateRange is not None:
        raise QueryError("BAD_USER_INPUT", "give date or dateRange, not both")
    first, last = (date, date) if dateRange is None else _checked(dateRange)
    rows = await context.snapshot.rows("daily_stats", ("daily_stats",), userId, first, last)
    return [{**row, "studyTime": _study_time(row["studySeconds"], context.policy)} for row in rows]


async def learning_streak(
    _root: object,
    info: GraphQLResolveInfo[Any],
    userId: str,  # noqa: N803
    calendar: DateRange | None = None,
    **_: object,
) -> Row:
    """The streak; its calendar and runs are read only when asked for."""
    look: Snapshot = info.context.snapshot
    first, last = (None, None) if calendar is None else _checked(calendar)
    [row] = await look.rows("streak", ("streak",), userId)

    async def days(_info: GraphQLResolveInfo[Any]) -> Sequence[asyncpg.Record]:
        return await look.rows("calendar", ("daily_stats",), userId, first, last)

    async def runs(_info: GraphQLResolveInfo[Any]) -> Sequence[asyncpg.Record]:
        return await look.rows("runs", ("streak_runs",), userId, asked=False)

    return {**row, "calendar": days, "runs": runs}


async def user_summary(_root: object, info: GraphQLResolveInfo[Any], userId: str, **_: object) -> Row:  # noqa: N803
    """A learner's totals."""
    [row] = await info.context.snapshot.rows("summary", ("user_summary",), userId)
    return dict(row)


async def item_progress(
    _root: object,
    info: GraphQLResolveInfo[Any],
    userId: str,  # noqa: N803
    itemIds: list[str] | None = None,  # noqa: N803
    filter: str = "ALL",  # noqa: A002
    first: int = 20,
    after: str | None = None,
    **_: object,
) -> Row:
    """One page of a learner's items."""
    if not 0 <= first <= MAX_PAGE:
        raise QueryError("BAD_USER_INPUT", f"first must be from 0 to {MAX_PAGE}")
    look: Snapshot = info.context.snapshot
    seen_at, item_id = (None, None) if after is None else _read_cursor(after)
    rows = await look.rows("items", ("item_stats",), userId, itemIds, filter, seen_at, item_id, first + 1)
    edges = [{"cursor": _cursor(row), "node": row} for row in rows[:first]]

    async def total(_info: GraphQLResolveInfo[Any]) -> int:
        [[count]] = await look.rows("count_items", ("item_stats",), userId, itemIds, filter)
        return count

    return {
        "totalCount": total,
        "edges": edges,
        "nodes": rows[:first],
        "pageInfo": {
            "hasNextPage": len(rows) > first,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


async def read_model(
    _root: object,
    info: GraphQLResolveInfo[Any],
    name: str,
    userId: str,  # noqa: N803
    first: int = 100,
    **_: object,
) -> Row:
    """Rows of any read model, the user's own included; the learner's key is ours and not shown."""
    look: Snapshot = info.context.snapshot
    if not 1 <= first <= MAX_PAGE:
        raise QueryError("BAD_USER_INPUT", f"first must be from 1 to {MAX_PAGE}")
    if name not in look.catalog.models:
        raise QueryError(
            "BAD_USER_INPUT", f"there is no read model {name!r}{suggest(name, look.catalog.models)}"
        )
    model = look.catalog[name]
    columns = [column for column in model.columns if column != "learner_key"]
    records = await look.read_model(name, userId, first)
    rows = [json.loads(record["row"]) for record in records]
    return {
        "name": name,
        "about": model.about,
        "grain": [column for column in model.grain if column != "learner_key"],
        "columns": columns,
        "rows": [{column: row[column] for column in columns} for row in rows],
        "totalCount": records[0]["total"] if records else 0,
    }


async def learners(
    _root: object, info: GraphQLResolveInfo[Any], search: str | None = None, first: int = 20
) -> Sequence[asyncpg.Record]:
    """Learners by part of their id."""
    if not 0 <= first <= MAX_PAGE:
        raise QueryError("BAD_USER_INPUT", f"first must be from 0 to {MAX_PAGE}")
    return await info.context.snapshot.learners(search, first)


def _checked(days: DateRange) -> tuple[date, date]:
    first, last = days["from"], days["to"]
    if first > last:
        raise QueryError("BAD_USER_INPUT", f"the range begins on {first}, after its end on {last}")
    if (last - first).days >= MAX_DAYS:
        raise QueryError("BAD_USER_INPUT", f"a range has at most {MAX_DAYS:,} days")
    return first, last


def _study_time(seconds: float, policy: Policy) -> Row:
    return {
        "seconds": seconds,
        "sessionCapSeconds": policy.cap_seconds,
        "idleGapSeconds": int(policy.idle_gap.total_seconds()),
    }


def _cursor(row: asyncpg.Record) -> str:
    text = json.dumps([row["seen_at"].isoformat(), row["itemId"]])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        seen_at, item_id = json.loads(base64.urlsafe_b64decode(cursor))
        return datetime.fromisoformat(seen_at), str(item_id)
    except (ValueError, TypeError):
        raise QueryError("BAD_USER_INPUT", "after is no cursor of this list") from None
