"""`report`: the figures of learners' days, weeks or months, told once."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn
from rich.table import Table

from progress_context.commands.common import console, progress_bar, with_pool
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from progress_context.log.database import Connection, Pool
    from progress_context.news.report import Kind, Period, Report
    from progress_context.settings import Settings

LAST_LEARNER = "SELECT coalesce(max(learner_key), 0) FROM log.learners"


def report(
    period: Literal["daily", "weekly", "monthly"],
    /,
    *,
    learner: str | None = None,
    all_: Annotated[bool, Parameter("--all", negative="")] = False,
    date: date | None = None,
    json_: Annotated[bool, Parameter("--json", negative="")] = False,
) -> None:
    """Make the reports of a day, week or month, as events progress.ReportGenerated; each is made once.

    A report that exists is shown as it was made. Of all learners, those get one who did anything.

    Parameters
    ----------
    period
        What is reported on: a learning day, a week from Monday to Sunday, or a calendar month.
    learner
        The learner's id.
    all_
        All learners, some hundreds at a time; when interrupted, give the same command again.
    date
        A day of the period, which must be over everywhere. Default: the newest that is.
    json_
        Print a JSON object for each report, one a line.
    """
    if (learner is None) == (not all_):
        raise SettingsError("say whose report: --learner ID, or --all")

    async def work(pool: Pool, settings: Settings) -> None:
        from progress_context.log.database import acquire
        from progress_context.log.migrate import check

        wanted = _period(period, date, settings.default_rollover_hour)
        async with acquire(pool) as connection:
            await check(connection)
            if learner is not None:
                await _of_one(connection, wanted, learner, as_json=json_)
            else:
                await _of_all(connection, wanted, as_json=json_)

    with_pool(work)


def _period(kind: Kind, day: date | None, rollover_hour: int) -> Period:
    from progress_context.news.report import last_day_over, newest_over, period_of

    over = last_day_over(datetime.now(UTC), rollover_hour)
    if day is None:
        return newest_over(kind, over)
    period = period_of(kind, day)
    if period.last_day > over:
        raise SettingsError(
            f"--date {day}: {period.last_day} is not over everywhere yet, and a report is made once;"
            f" the newest day that is over is {over}"
        )
    return period


async def _of_one(connection: Connection, period: Period, learner: str, *, as_json: bool) -> None:
    from progress_context.commands.show import key_of
    from progress_context.news.report import make

    [made] = await make(connection, period, [await key_of(connection, learner)], datetime.now(UTC))
    if as_json:
        _print_json(made)
        return
    table = Table(box=None, show_header=False)
    for name, value in made.data["figures"].items():
        table.add_row(name.replace("_", " "), _cell(value))
    out = Console()
    out.print(f"{escape(learner)}, {_days(period)}", highlight=False)
    out.print(table)
    what = "made" if made.made else "exists already"
    console.print(f"{what}, position {made.position:,}", highlight=False)


async def _of_all(connection: Connection, period: Period, *, as_json: bool) -> None:
    made = existed = 0
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("looking at learners", total=await connection.fetchval(LAST_LEARNER))

        def seen(reports: list[Report], looked_at: int) -> None:
            nonlocal made, existed
            made += sum(each.made for each in reports)
            existed += sum(not each.made for each in reports)
            for each in reports if as_json else ():
                _print_json(each)
            bar.update(task, completed=looked_at)

        await _make_all(connection, period, seen)
    console.print(
        f"{_days(period)}: {made:,} reports made, {existed:,} existed already",
        highlight=False,
        soft_wrap=True,
    )


async def _make_all(
    connection: Connection, period: Period, seen: Callable[[list[Report], int], None]
) -> None:
    from progress_context.news.report import active_learners, make

    async for learners, looked_at in active_learners(connection, period):
        seen(await make(connection, period, learners, datetime.now(UTC)) if learners else [], looked_at)


def _days(period: Period) -> str:
    if period.first_day == period.last_day:
        return f"{period.first_day}"
    return f"{period.first_day} to {period.last_day}"


def _print_json(made: Report) -> None:
    status = "made" if made.made else "exists"
    text = json.dumps({"learner": made.learner_id, "status": status, "event": made.position, **made.data})
    sys.stdout.write(f"{text}\n")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    return "" if value is None else f"{value:,}"
