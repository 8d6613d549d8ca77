"""From settings to who may ask: the gate, the door, and whether a service may listen where it is told to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
from starlette.types import ASGIApp

from progress_context.errors import SettingsError
from progress_context.gate import Gate
from progress_context.principal import ClaimNames
from progress_context.query.door import Door, RateLimits
from progress_context.query.rate_limit import Counter, MemoryCounter, RedisCounter
from progress_context.services.development import FOR_DEVELOPMENT
from progress_context.services.front import LOOPBACK_NAMES, Front
from progress_context.settings import Settings, variable_of
from progress_context.tokens import KeySet, Verifier

log = structlog.get_logger(__name__)


def is_on(settings: Settings) -> bool:
    """Whether those who ask must say who they are."""
    return settings.auth != "off" and bool(settings.auth_jwks_url or settings.auth_secret)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach who listens there."""
    return host.startswith("127.") or host in LOOPBACK_NAMES


def is_private(settings: Settings) -> bool:
    """Whether nobody is asked who they are, and only this machine gets in: a developer's own."""
    return settings.auth != "off" and not is_on(settings) and is_loopback(settings.host)


def check_exposure(settings: Settings) -> None:
    """Raise SettingsError where a service would be open to the network without anybody having said so."""
    if is_on(settings) or settings.auth == "off" or is_loopback(settings.host):
        return
    raise SettingsError(
        f"{variable_of('host')}={settings.host} would let the network in, and nobody would be asked who they"
        f" are: set {variable_of('auth_jwks_url')}, or {variable_of('auth')}=off if something in front asks"
    )


def front_of(settings: Settings) -> Callable[[ASGIApp], Front]:
    """What stands in front of a service.

    Without authentication, a page of another site whose name was made to lead here must not get in.
    """
    hosts = LOOPBACK_NAMES if is_private(settings) else None
    return partial(Front, hosts=hosts, https_seconds=settings.https_seconds)


def as_wished(wish: bool | None, settings: Settings) -> bool:
    """What is for developers, when nothing was said about it: on where only they get in."""
    return is_private(settings) if wish is None else wish


def gate_of(settings: Settings) -> Gate:
    """The gate that the settings describe, and a word in the log about it; raises SettingsError."""
    check_exposure(settings)
    if not is_on(settings):
        log.warning("authentication_off", listening_on=settings.host, setting=variable_of("auth_jwks_url"))
        return Gate()
    names = ClaimNames(
        role=settings.auth_role_claim,
        learners=settings.auth_learners_claim,
        groups=settings.auth_groups_claim,
        scope=settings.auth_scope_claim,
    )
    return Gate(_verifier(settings), names)


def door_of(settings: Settings, gate: Gate) -> tuple[Door, Counter]:
    """The door to the query service, and what counts there."""
    counter = RedisCounter(settings.redis_url) if settings.redis_url else MemoryCounter()
    limits = RateLimits(
        person=settings.rate_limit,
        service=settings.rate_limit_service,
        operator=settings.rate_limit_operator,
        anonymous=settings.rate_limit_anonymous,
    )
    return Door(gate, counter, limits), counter


def _verifier(settings: Settings) -> Verifier:
    if settings.auth_secret:
        return _by_secret(settings)
    for name in ("auth_issuer", "auth_audience"):
        if not getattr(settings, name):
            raise SettingsError(
                f"{variable_of(name)} is not set, so tokens for others would be accepted here"
            )
    return Verifier(
        audience=settings.auth_audience,
        issuers=[settings.auth_issuer],
        keys=KeySet(settings.auth_jwks_url),
    )


def _by_secret(settings: Settings) -> Verifier:
    """Whoever can verify such a token can make one: for development only."""
    if settings.auth_jwks_url:
        raise SettingsError(
            f"{variable_of('auth_secret')} is for development, {variable_of('auth_jwks_url')} for everything"
            " else: set one of them"
        )
    log.warning("authentication_for_development", setting=variable_of("auth_secret"))
    return Verifier(
        audience=settings.auth_audience or FOR_DEVELOPMENT,
        issuers=[settings.auth_issuer or FOR_DEVELOPMENT],
        secret=settings.auth_secret,
    )
