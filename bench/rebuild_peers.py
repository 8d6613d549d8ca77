"""Beside our rebuild: Emmett's, a materialized view, and DuckDB over Parquet as the physical limit."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from functools import partial
from pathlib import Path

import asyncpg

from bench import peers
from bench.database import EMPTY, STATEMENTS, BenchServer, query
from bench.harness import Contender, Run
from bench.history import differences, recount, rows_by_day
from bench.rebuild_history import LONG, LongHistory

EMMETT = "Emmett rebuild"
VIEW = "REFRESH MATERIALIZED VIEW"
FROM_JSON = "limit: DuckDB, JSON in Parquet"
FROM_COLUMNS = "limit: DuckDB, typed Parquet"

EMMETT_BATCH = 5_000
CREATE_VIEW = "CREATE MATERIALIZED VIEW public.daily_counts AS\n"
INDEX_VIEW = "CREATE UNIQUE INDEX ON public.daily_counts (learner_key, learning_day)"
REFRESH = "REFRESH MATERIALIZED VIEW CONCURRENTLY public.daily_counts"


class Beside:
    """Measures the others over the long history; Emmett gets its first `emmett_events` events."""

    def __init__(self, server: BenchServer, long: LongHistory, folder: Path, emmett_events: int) -> None:
        self._long = long
        self._folder = folder.absolute()
        self._emmett_events = emmett_events
        self._emmett_expected = recount(long.history.facts, emmett_events)
        self._export(server.url(LONG))

    def contenders(self) -> list[Contender]:
        """Everyone but us, in the order of the table."""
        return [
            Contender(EMMETT, EMPTY, self._emmett),
            Contender(VIEW, LONG, self._view),
            Contender(FROM_JSON, EMPTY, partial(self._duckdb, columns=False)),
            Contender(FROM_COLUMNS, EMPTY, partial(self._duckdb, columns=True)),
        ]

    def _emmett(self, url: str) -> Run:
        events = self._emmett_events
        result = peers.drive_node(
            "emmett_project", url=url, file=str(self._long.history.facts), events=events, inline=True,
            per_call=100, batch=EMMETT_BATCH, rebuild=True,
        )  # fmt: skip
        found = rows_by_day(query(url, "peer_daily_rows"))
        return Run(events, result["seconds"], *differences(self._emmett_expected, found))

    def _view(self, url: str) -> Run:
        seconds = asyncio.run(_refresh(url))
        found = rows_by_day(query(url, "viewed_daily_rows"))
        return Run(self._long.history.events, seconds, *differences(self._long.expected, found))

    def _duckdb(self, _url: str, *, columns: bool) -> Run:
        parquet = self._folder / ("typed.parquet" if columns else "json.parquet")
        result = peers.drive_python("duckdb_group", parquet=str(parquet), columns=columns)
        found = {
            (self._long.keys[key], date.fromisoformat(day)): (reviews, correct, activities)
            for key, day, reviews, correct, activities in result["rows"]
        }
        return Run(self._long.history.events, result["seconds"], *differences(self._long.expected, found))

    def _export(self, url: str) -> None:
        csv = self._folder / "log.csv"
        asyncio.run(_copy_out(url, csv))
        peers.drive_python(
            "duckdb_group", csv=str(csv), json=str(self._folder / "json.parquet"),
            typed=str(self._folder / "typed.parquet"),
        )  # fmt: skip
        csv.unlink()


async def _refresh(url: str) -> float:
    """Seconds for refreshing a view in which nothing has changed: its best case."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(CREATE_VIEW + (STATEMENTS / "daily_counts.sql").read_text())
        await connection.execute(INDEX_VIEW)
        await connection.execute("ANALYZE public.daily_counts")
        began = time.perf_counter()
        await connection.execute(REFRESH)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _copy_out(url: str, file: Path) -> None:
    connection = await asyncpg.connect(url)
    try:
        archive = (STATEMENTS / "archive.sql").read_text()
        await connection.copy_from_query(archive, output=file, format="csv", header=True)
    finally:
        await connection.close()
