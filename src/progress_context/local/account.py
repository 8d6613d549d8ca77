"""Whom an embedded server runs as: ourselves, or, when we are root, somebody without rights."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from progress_context.errors import LocalError


@dataclass(frozen=True)
class Account:
    """A user and group id, without further groups."""

    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Give a folder of ours, and everything in it, to this account. Raises LocalError."""
        try:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)
        except OSError as error:
            raise LocalError(
                f"{folder} cannot be given to the user id {self.uid} of its server: {error}"
            ) from error


class Identity(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


def as_account(account: Account | None) -> Identity:
    """Arguments that make `subprocess` run a program as `account`; none for ourselves."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def server_account(folder: Path) -> Account | None:
    """The account for a server whose files are in `folder`; `None` means ourselves.

    PostgreSQL refuses to run as root. Under root it is the owner of the files if they exist
    already, else `nobody`: initdb wants a user with a name, and only this one is there everywhere.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise LocalError(
            "embedded servers do not run as root, and this system has no user 'nobody'; "
            "start as an ordinary user, or set DATABASE_URL and REDIS_URL"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def inside(folder: Path, account: Account | None) -> str:
    """How a server whose working folder is `folder` names it.

    Another account may own the folder and yet not be able to walk there (root's home and pytest's folders
    are closed to others). Its working folder is open to it all the same.
    """
    here = Path("/proc/self/cwd")
    return str(here) if account is not None and here.exists() else str(folder)
