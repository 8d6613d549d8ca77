"""Find the event that a read model cannot take."""

from __future__ import annotations

from progress_context.engine.bind import Scope
from progress_context.engine.builds import Build
from progress_context.engine.chunk import FOR_MANY, fill_learners, fill_shared
from progress_context.engine.parking import POISON
from progress_context.engine.version import Version
from progress_context.errors import EventPoisoned
from progress_context.log.database import Connection, in_words

EVENT = "SELECT position, type, learner_key FROM log.events WHERE position = $1"


async def poisoned(
    connection: Connection, build: Build, learners: range | None, upto: int, error: BaseException
) -> BaseException:
    """What to raise when the rows of some learners (`None`: of nobody) cannot be computed as of `upto`.

    EventPoisoned, naming the first event with which it fails; `error` itself when it does not fail again.
    """
    for version in build.versions.values():
        if version.model.by_learner is (learners is not None):
            why = await _try(connection, build, version, learners, upto)
            if why is not None:
                return await _name(connection, build, version, learners, upto, why)
    return error


async def _name(
    connection: Connection, build: Build, version: Version, learners: range | None, upto: int, why: str
) -> EventPoisoned:
    while learners is not None and len(learners) > 1:
        half = len(learners) // 2
        fails = await _try(connection, build, version, learners[:half], upto)
        learners = learners[:half] if fails is not None else learners[half:]
    good, bad = 0, upto
    while bad - good > 1:
        middle = (good + bad) // 2
        reason = await _try(connection, build, version, learners, middle)
        good, bad, why = (middle, bad, why) if reason is None else (good, middle, reason)
    event = await connection.fetchrow(EVENT, bad)
    assert event is not None
    return EventPoisoned(version.name, event["position"], event["type"], event["learner_key"], why)


async def _try(
    connection: Connection, build: Build, version: Version, learners: range | None, upto: int
) -> str | None:
    """Why the rows of one version cannot be computed, if they cannot; nothing is kept."""
    if learners is None:
        condition, statement = "true", fill_shared(build, {version.name: version}, upto)
    else:
        scope = Scope(f"{{relation}}.learner_key BETWEEN {learners[0]} AND {learners[-1]}")
        condition = scope.on("stored")
        statement = fill_learners(build, {version.name: version}, scope, upto)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(FOR_MANY)
        await connection.execute(f"DELETE FROM {version.table} AS stored WHERE {condition}", timeout=None)
        await connection.fetchval(statement, timeout=None)
    except POISON as error:
        return in_words(error)
    finally:
        await transaction.rollback()
    return None
