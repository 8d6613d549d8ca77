"""What the arguments of a field mean: the parameters of its question, checked."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from progress_context.errors import QueryError

MAX_DAYS = 3_660
MAX_PAGE = 500
MAX_ITEM_IDS = 1_000
MAX_WEEKS = 520
MAX_MONTHS = 120
CALENDAR_DAYS = 365
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"(-?[0-9]{1,17}) (.*)", re.DOTALL)

Arguments = Mapping[str, Any]
Parameters = dict[str, Any]


def no_parameters(_arguments: Arguments) -> Parameters:
    """The question has none but the learner."""
    return {}


def days(arguments: Arguments) -> Parameters:
    """A day, a range, or today where both ends are null."""
    day, given = arguments.get("date"), arguments.get("dateRange")
    if day is not None and given is not None:
        raise _refused("give date or dateRange, not both")
    first, last = (day, day) if given is None else _checked(given)
    return {"day_from": first, "day_to": last}


def calendar(arguments: Arguments) -> Parameters:
    """A range, or the default where both ends are null."""
    given = arguments.get("calendar")
    first, last = (None, None) if given is None else _checked(given)
    return {"day_from": first, "day_to": last}


def weeks(arguments: Arguments) -> Parameters:
    """How many weeks."""
    return {"weeks": _within("weeks", arguments["weeks"], 1, MAX_WEEKS)}


def months(arguments: Arguments) -> Parameters:
    """How many months."""
    return {"months": _within("months", arguments["months"], 1, MAX_MONTHS)}


def category(arguments: Arguments) -> Parameters:
    """Which categories."""
    return {"category_type": arguments["categoryType"]}


def items(arguments: Arguments) -> Parameters:
    """A filter and a page."""
    first = _within("first", _or(arguments.get("first"), 20), 0, MAX_PAGE)
    item_ids = arguments.get("itemIds")
    if item_ids is not None and len(item_ids) > MAX_ITEM_IDS:
        raise _refused(f"itemIds has at most {MAX_ITEM_IDS:,} ids")
    after = arguments.get("after")
    seen_at, item_id = (None, None) if after is None else _read_cursor(after)
    return {
        "item_ids": item_ids,
        "filter": arguments.get("filter"),
        "search": arguments.get("search"),
        "first": first,
        "seen_at": seen_at,
        "item_id": item_id,
    }


def period(arguments: Arguments) -> Parameters:
    """Which period."""
    return {"period": arguments["period"]}


def status(arguments: Arguments) -> Parameters:
    """Which milestones."""
    return {"status": arguments.get("status")}


def read_model(arguments: Arguments) -> Parameters:
    """How many rows."""
    return {"first": _within("first", _or(arguments.get("first"), 100), 1, MAX_PAGE)}


def learners(arguments: Arguments) -> Parameters:
    """Whom to search for."""
    first = _within("first", _or(arguments.get("first"), 20), 0, MAX_PAGE)
    return {"search": arguments.get("search"), "first": first}


def events(arguments: Arguments) -> Parameters:
    """Which events of the log."""
    first = _within("first", _or(arguments.get("first"), 50), 0, MAX_PAGE)
    return {name: arguments.get(name) for name in ("userId", "type", "before", "recordedBy")} | {
        "first": first
    }


def day_count(parameters: Parameters, default: int) -> int:
    """How many days a range has; `default` where its ends are null."""
    first, last = parameters["day_from"], parameters["day_to"]
    return default if first is None else (last - first).days + 1


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _checked(given: Mapping[str, date]) -> tuple[date, date]:
    first, last = given["from"], given["to"]
    if first > last:
        raise _refused(f"the range begins on {first}, after its end on {last}")
    if (last - first).days >= MAX_DAYS:
        raise _refused(f"a range has at most {MAX_DAYS:,} days")
    return first, last


def _within(name: str, number: int, least: int, most: int) -> int:
    if not least <= number <= most:
        raise _refused(f"{name} must be from {least} to {most}")
    return number


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        found = CURSOR.fullmatch(text)
        if found is not None:
            return EPOCH + timedelta(microseconds=int(found[1])), found[2]
    except (ValueError, OverflowError):
        pass
    raise _refused("after is no cursor of this list")


def _refused(message: str) -> QueryError:
    return QueryError("BAD_USER_INPUT", message)
