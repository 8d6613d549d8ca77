"""`show`: the rows of any read model, now or at any past moment."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from progress_context.commands.common import console, with_pool
from progress_context.errors import QueryError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from progress_context.engine.as_of import Answer, AsOf, Moment, Point
    from progress_context.engine.definition import ReadModel
    from progress_context.log.database import Connection, Pool
    from progress_context.settings import Settings

LEARNER_KEY = "SELECT learner_key FROM log.learners WHERE learner_id = $1"


def show(
    name: str,
    /,
    *,
    learner: str | None = None,
    position: int | None = None,
    known_at: str | None = None,
    happened_by: str | None = None,
    json_: bool = False,
    limit: int = 50,
) -> None:
    """Show the rows of a read model for one learner, as they are or as they were at any past moment.

    They are computed from the events, with the help of the nearest snapshot: what is stored is not asked.
    Times are RFC 3339, such as 2026-03-01T12:00:00Z.

    Parameters
    ----------
    name
        A read model, such as daily_stats; your own as well.
    learner
        The learner's id. Only read models that belong to nobody, such as item_catalogue, need none.
    position
        As of this position of the log: what the events up to it told.
    known_at
        As it was known at this time: the events that had been received by then.
    happened_by
        What had happened by this time, as it is known today: late events and corrections count.
    json_
        Print a JSON array.
    limit
        Show at most this many rows.
    """
    moment = _moment(position, known_at, happened_by)
    if limit < 1:
        raise SettingsError("--limit must be at least 1")

    async def work(pool: Pool, settings: Settings) -> None:
        from progress_context.log.database import acquire
        from progress_context.log.migrate import check
        from progress_context.query.asked import as_of
        from progress_context.services.command import default_calendar
        from progress_context.services.projection import catalog_of

        catalog = catalog_of(settings)
        if name not in catalog.models:
            raise SettingsError(
                f"there is no read model {name!r}; there are {', '.join(sorted(catalog.models))}"
            )
        model = catalog[name]
        past = as_of(catalog, default_calendar(settings))
        async with acquire(pool) as connection:
            await check(connection)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                point, answer = await _ask(connection, past, model, learner, moment, limit)
        whose = f" of {learner}" if model.by_learner else ""
        console.print(
            f"{name}{escape(whose)}, {_described(moment, point, answer)}", highlight=False, soft_wrap=True
        )
        _print(model, answer, as_json=json_)

    with_pool(work)


def _moment(position: int | None, known_at: str | None, happened_by: str | None) -> Moment:
    from datetime import UTC, datetime

    from progress_context.engine.as_of import HappenedBy, KnownAt, Position

    if sum(given is not None for given in (position, known_at, happened_by)) > 1:
        raise SettingsError("give one of --position, --known-at and --happened-by")
    if position is not None:
        return Position(position)
    if happened_by is not None:
        return HappenedBy(_instant("--happened-by", happened_by))
    return KnownAt(_instant("--known-at", known_at) if known_at is not None else datetime.now(UTC))


def _instant(option: str, text: str) -> datetime:
    from progress_context.intake.instant import read_instant

    try:
        return read_instant(text)[0]
    except ValueError as error:
        raise SettingsError(f"{option} {text}: {error}") from None


async def _ask(
    connection: Connection, past: AsOf, model: ReadModel, learner: str | None, moment: Moment, limit: int
) -> tuple[Point, Answer]:
    from progress_context.engine.template import fill, quote, quote_all

    key = await key_of(connection, learner) if model.by_learner else None
    point = await past.find(connection, moment)
    question = fill("shown_rows", read_model=quote(model.name), grain=quote_all(model.grain))
    return point, await past.answer(connection, question, [model.name], key, point, limit)


async def key_of(connection: Connection, learner: str | None) -> int:
    """The log's own key of a learner; raises QueryError for one whom it does not know."""
    if learner is None:
        raise SettingsError("say whose rows: --learner ID")
    key = await connection.fetchval(LEARNER_KEY, learner)
    if key is None:
        raise QueryError("LEARNER_UNKNOWN", f"no event of learner {learner!r} has been received")
    return key


def _described(moment: Moment, point: Point, answer: Answer) -> str:
    from progress_context.engine.as_of import HappenedBy, KnownAt

    if isinstance(moment, HappenedBy):
        when = f"what had happened by {point.at.isoformat()}, known at position {point.position:,}"
    elif isinstance(moment, KnownAt):
        when = f"as known at {point.at.isoformat()}, position {point.position:,}"
    else:
        when = f"as of position {point.position:,}, recorded {point.at.isoformat()}"
    if answer.snapshot is None:
        return f"{when}; from the events"
    return f"{when}; from the snapshot at position {answer.snapshot:,} and the events since"


def _print(model: ReadModel, answer: Answer, *, as_json: bool) -> None:
    out = Console()
    rows: list[dict[str, Any]] = [json.loads(row["row"]) for row in answer.rows]
    if as_json:
        out.print_json(data=rows)
        return
    if not rows:
        out.print("no rows")
    columns = [column for column in model.columns if column != "learner_key"]
    for table in _tables(out, columns, [[_cell(row[column]) for column in columns] for row in rows]):
        out.print(table)
    if rows and answer.rows[0]["total"] > len(rows):
        console.print(f"… and {answer.rows[0]['total'] - len(rows):,} more: --limit shows them")


def _tables(out: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Table]:
    """One table, or where that is too wide for the terminal one for each row."""
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    if out.measure(table, options=out.options.update(max_width=sys.maxsize)).maximum <= out.width:
        yield table
        return
    for row in rows:
        upright = Table("", "", box=None, show_header=False, padding=(0, 1, 0, 1))
        for column, cell in zip(columns, row, strict=True):
            upright.add_row(column, cell)
        upright.add_row()
        yield upright


def _cell(value: object) -> str:
    if value is None:
        return ""
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
