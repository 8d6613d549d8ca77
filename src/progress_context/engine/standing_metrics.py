"""What the database says of the log and the read models, as metrics: asked for when somebody scrapes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

import asyncpg
import structlog
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from progress_context.engine.health import Standing, standing
from progress_context.errors import LogError
from progress_context.log.database import UNAVAILABLE, Pool, acquire, in_words

FRESH_SECONDS = 1.0  # scrapes within this time share one look at the database
LOOK_SECONDS = 3.0  # after which the database counts as away

Samples: TypeAlias = Iterable[tuple[Sequence[str], float]]
Family: TypeAlias = tuple[str, str, Sequence[str], Callable[[Standing], Samples]]

log = structlog.get_logger(__name__)

UP = ("progress_database_up", "Whether the database answered when this service was scraped (0 or 1)")
MODEL = ("read_model", "update")
BUILD = ("build", "kind")

FAMILIES: tuple[Family, ...] = (
    ("progress_log_position", "Last position of the log", (), lambda now: [((), now.head)]),
    (
        "progress_checkpoint_position", "Position that a read model reflects, by its slowest shard", MODEL,
        lambda now: [((m.name, m.update), m.position) for m in now.read_models],
    ),
    (
        "progress_checkpoint_age_seconds", "Since the checkpoint of the slowest shard moved", MODEL,
        lambda now: [((m.name, m.update), (now.at - m.moved_at).total_seconds()) for m in now.read_models],
    ),
    (
        "progress_lag_events", "Events in the log that a read model does not reflect", MODEL,
        lambda now: [((m.name, m.update), m.lag_events) for m in now.read_models],
    ),
    (
        "progress_lag_seconds", "Age of the oldest event that a read model does not reflect, or 0", MODEL,
        lambda now: [((m.name, m.update), m.lag_seconds) for m in now.read_models],
    ),
    (
        "progress_shard_lag_events", "Events that the realtime read models of a shard lack", ("shard",),
        lambda now: [((str(s.shard),), s.lag_events) for s in now.shards],
    ),
    (
        "progress_workers", "Projection services that gave a sign of life within 5 s", (),
        lambda now: [((), now.workers)],
    ),
    (
        "progress_lease_held", "Whether a process holds this lease (0 or 1)", ("lease",),
        lambda now: [((lease.name,), lease.held) for lease in now.leases],
    ),
    (
        "progress_parked_events", "Events put aside that wait for `parked retry`", (),
        lambda now: [((), now.parked.count)],
    ),
    (
        "progress_rebuild_done_events", "Events that a rebuild under way has dealt with", BUILD,
        lambda now: [((str(b.build), b.kind), b.done) for b in now.builds],
    ),
    (
        "progress_rebuild_total_events", "Events that a rebuild under way must deal with", BUILD,
        lambda now: [((str(b.build), b.kind), b.total) for b in now.builds],
    ),
    ("progress_snapshots", "Snapshots there are", (), lambda now: [((), now.snapshots.count)]),
    (
        "progress_snapshots_damaged", "Snapshots found damaged", (),
        lambda now: [((), now.snapshots.damaged)],
    ),
    (
        "progress_snapshot_position", "Position of the newest sound snapshot, 0 if there is none", (),
        lambda now: [((), now.snapshots.position or 0)],
    ),
    (
        "progress_snapshot_age_seconds", "Age of the newest sound snapshot; absent while there is none", (),
        lambda now: (
            [((), (now.at - now.snapshots.taken_at).total_seconds())] if now.snapshots.taken_at else []
        ),
    ),
)  # fmt: skip


class StandingMetrics(Collector):
    """A collector of FAMILIES: `refresh` before each scrape; while the database is away there are none.

    Services that may read the books of the engine offer the same figures, so that any of them tells of the
    absence of the others: take the greatest, never the sum.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._looked_at = float("-inf")
        self._turn = asyncio.Lock()
        self._standing: Standing | None = None

    def register(self, registry: CollectorRegistry = REGISTRY) -> None:
        """Offer the figures at /metrics."""
        registry.register(self)

    async def refresh(self) -> None:
        """Look at the database unless somebody has within a second; never fails, never waits for long."""
        async with self._turn:
            if self._clock() - self._looked_at < FRESH_SECONDS:
                return
            self._standing = await self._look()
            self._looked_at = self._clock()

    async def _look(self) -> Standing | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS), acquire(self._pool) as connection:
                return await standing(connection)
        except (LogError, asyncpg.PostgresError, *UNAVAILABLE) as error:
            log.warning("standing_unknown", error=in_words(error))
            return None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The figures of the last look."""
        yield GaugeMetricFamily(*UP, value=float(self._standing is not None))
        for name, about, labels, samples in FAMILIES if self._standing else ():
            family = GaugeMetricFamily(name, about, labels=labels)
            for values, figure in samples(self._standing) if self._standing else ():
                family.add_metric(values, float(figure))
            yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The families, so that registering does not look at the database."""
        yield GaugeMetricFamily(*UP)
        for name, about, labels, _ in FAMILIES:
            yield GaugeMetricFamily(name, about, labels=labels)
