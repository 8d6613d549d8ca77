"""Tokens for development: signed with the secret that the services verify them with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jwt

from progress_context.errors import SettingsError
from progress_context.principal import WRITE_EVENTS, Role
from progress_context.settings import Settings, variable_of
from progress_context.tokens import MIN_SECRET

FOR_DEVELOPMENT = "progress-context"  # issuer and audience, where the settings name none


def development_token(
    settings: Settings,
    role: Role,
    subject: str,
    *,
    learners: Sequence[str] = (),
    groups: Sequence[str] = (),
    scopes: Sequence[str] = (),
    hours: float = 8,
) -> str:
    """A token that services with the same settings accept; raises SettingsError without a secret for it."""
    if len(settings.auth_secret.encode()) < MIN_SECRET:
        raise SettingsError(
            f"{variable_of('auth_secret')} must have at least {MIN_SECRET} bytes, as for the services"
        )
    now = int(time.time())
    claims: dict[str, Any] = {
        "iss": settings.auth_issuer or FOR_DEVELOPMENT,
        "aud": settings.auth_audience or FOR_DEVELOPMENT,
        "sub": subject,
        "iat": now,
        "exp": now + round(hours * 3600),
        settings.auth_role_claim: role,
        settings.auth_learners_claim: list(learners),
        settings.auth_groups_claim: list(groups),
        settings.auth_scope_claim: " ".join(scopes),
    }
    return jwt.encode(claims, settings.auth_secret, "HS256")


def sending_token(settings: Settings) -> str:
    """With what the commands that send events say who they are; empty when nobody asks."""
    if settings.token or not settings.auth_secret:
        return settings.token
    return development_token(settings, "service", "progress-context", scopes=[WRITE_EVENTS])
