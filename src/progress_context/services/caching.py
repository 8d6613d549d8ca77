"""The response cache of a query service, as the settings want it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from progress_context.log.database import Pool
from progress_context.log.profiles import Calendar
from progress_context.query.cache import Cache
from progress_context.query.cache_ahead import Ahead
from progress_context.query.cache_memory import Memory
from progress_context.query.cache_redis import RedisAnswers
from progress_context.query.cache_versions import Versions
from progress_context.settings import Settings


def cache_of(
    settings: Settings, pool: Pool, default: Calendar, clock: Callable[[], datetime]
) -> tuple[Cache | None, Ahead | None]:
    """The cache, and what computes answers ahead; None for what is switched off."""
    if settings.cache == "off":
        return None, None
    shared = settings.cache == "redis" and settings.redis_url
    cache = Cache(
        Versions(pool, default, clock, trust=settings.cache_trust_ms / 1000),
        Memory(settings.cache_memory_mb << 20),
        RedisAnswers(settings.redis_url, seconds=settings.cache_redis_ms / 1000) if shared else None,
    )
    cache.noting = ahead = Ahead(settings.cache_ahead) if settings.cache_ahead else None
    return cache, ahead
