"""Count days with DuckDB over the log as Parquet: how fast a column engine groups the same events.

`prepare` turns the exported CSV into two Parquet files: the payload as JSON text, and as typed columns.
Its own environment runs this file, so nothing of ours is imported.
"""
# pyright: basic, reportMissingImports=false
# (the peer's packages are installed for a run only, never beside ours)

from __future__ import annotations

import json
import sys
import time

import duckdb

READ = "SELECT * FROM read_csv(?, header = true, columns = {})"
COLUMNS = "{'learner_key': 'BIGINT', 'learning_day': 'DATE', 'type': 'VARCHAR', 'data': 'JSON'}"
TYPED = """
    SELECT learner_key, learning_day, type, data->>'judgment' AS judgment,
           (data->>'response_time_ms')::BIGINT AS response_time_ms,
           (data->>'tokens_used')::BIGINT AS tokens_used
      FROM events
"""
DAYS = """
    CREATE TABLE days AS
    SELECT learner_key,
           learning_day,
           count(*) FILTER (WHERE type = 'learning.CorrectnessJudged') AS reviews,
           count(*) FILTER (WHERE type = 'learning.CorrectnessJudged'
                              AND {judgment} <> 'UserConfirmedIncorrect') AS correct,
           sum({response_time_ms}) FILTER (WHERE type = 'learning.CorrectnessJudged') AS response_time_ms,
           count(*) FILTER (WHERE type = 'learning.ActivityRecorded') AS activities,
           count(*) FILTER (WHERE type = 'learning.SessionCompleted') AS sessions,
           sum({tokens_used}) FILTER (WHERE type = 'ai.UsageRecorded') AS ai_tokens
      FROM read_parquet(?)
     GROUP BY learner_key, learning_day
"""
FROM_JSON = {
    "judgment": "data->>'judgment'",
    "response_time_ms": "(data->>'response_time_ms')::BIGINT",
    "tokens_used": "(data->>'tokens_used')::BIGINT",
}
FROM_COLUMNS = {name: name for name in FROM_JSON}


def prepare(task: dict) -> dict:
    """Write the two Parquet files."""
    with duckdb.connect() as database:
        columns = READ.format(COLUMNS)
        database.execute(f"CREATE TABLE events AS {columns}", [task["csv"]])
        database.execute(f"COPY events TO '{task['json']}' (FORMAT parquet)")
        database.execute(f"COPY ({TYPED}) TO '{task['typed']}' (FORMAT parquet)")
    return {}


def group(task: dict) -> dict:
    """Seconds for counting all days, and the days."""
    names = FROM_COLUMNS if task["columns"] else FROM_JSON
    with duckdb.connect() as database:
        began = time.perf_counter()
        database.execute(DAYS.format(**names), [task["parquet"]])
        seconds = time.perf_counter() - began
        rows = database.execute(
            "SELECT learner_key, learning_day::VARCHAR, reviews, correct, activities FROM days"
        ).fetchall()
    return {"seconds": seconds, "rows": rows}


def main(task: dict) -> None:
    """Do what the task says."""
    print(json.dumps(prepare(task) if "csv" in task else group(task)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
