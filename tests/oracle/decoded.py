"""Stored rows in the oracle's terms: stamps become values, multiranges become seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from oracle.folds import Policy, Row, Rows

EPOCH_DAY = date(1970, 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode(name: str, rows: Rows, policy: Policy) -> Rows:
    """The rows of a stored read model as `recount` would give them."""
    decoders: dict[str, Callable[[Row], Row]] = {
        "item_catalogue": _catalogue,
        "sessions": partial(_session, policy=policy),
        "item_progress": _item,
    }
    decoder = decoders.get(name, dict)
    return {grain: decoder(row) for grain, row in rows.items()}


def _value(stamp: list[Any] | None) -> Any:
    return None if stamp is None else stamp[2]


def _day(stamp: list[Any] | None) -> date | None:
    return None if stamp is None else EPOCH_DAY + timedelta(days=int(stamp[2]))


def _flag(stamp: list[Any] | None) -> bool | None:
    return None if stamp is None else stamp[2] == 1


def _json(stamp: list[Any] | None) -> Any:
    return None if stamp is None else json.loads(stamp[2])


def _catalogue(row: Row) -> Row:
    return row | {name: _json(row[name]) for name in ("spelling", "level", "domains")}


def _session(row: Row, policy: Policy) -> Row:
    sent = _value(row["sent_seconds"])
    active = sum(((r.upper - r.lower - policy.idle_gap) for r in row["active"]), timedelta())
    seconds = active.total_seconds() if sent is None else sent
    return row | {
        "completed_day": _day(row["completion"]),
        "abandoned_day": _day(row["abandonment"]),
        "sent_seconds": sent,
        "study_seconds": min(seconds, policy.cap_seconds),
    }


def _item(row: Row) -> Row:
    next_review = _value(row["next_review"])
    return row | {
        "first_review_day": _day(row["first_review"]),
        "last_answer_correct": _flag(row["last_review"]),
        "first_mastered_day": _day(row["first_mastered"]),
        "mastered": _flag(row["mastered"]),
        "mastery_level": _value(row["mastery_level"]),
        "next_review_at": None if next_review is None else EPOCH + timedelta(seconds=next_review),
        "easiness": _value(row["easiness"]),
    }
