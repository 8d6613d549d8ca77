"""`token`: tokens to try the roles with, on a developer's machine."""

from __future__ import annotations

import sys

from progress_context.principal import Role
from progress_context.services.development import development_token
from progress_context.settings import Settings


def token(
    role: Role,
    subject: str = "developer",
    /,
    *,
    learner: list[str] | None = None,
    group: list[str] | None = None,
    scope: list[str] | None = None,
    hours: float = 8,
) -> None:
    """Print a token for development, signed with PROGRESS_AUTH_SECRET.

    Parameters
    ----------
    role
        learner sees itself, coach the learners and groups named here, service and operator see every learner.
    subject
        Who it is: of a learner, the learner's id.
    learner
        A learner whom a coach may see; may be given several times.
    group
        A group whose learners a coach may see: those whose id begins with its name and a slash.
    scope
        What else it allows, such as events:write to send events.
    hours
        How long it is good for.
    """
    made = development_token(
        Settings.from_environment(),
        role,
        subject,
        learners=learner or [],
        groups=group or [],
        scopes=scope or [],
        hours=hours,
    )
    sys.stdout.write(f"{made}\n")
