"""Run Postgres under an unprivileged account when the service runs as root, and grant it file access."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

ACCOUNT = "marquee"


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int

    def as_arguments(self) -> dict[str, Any]:
        """Arguments for `subprocess`: this account, without our groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(folder: Path) -> Account | None:
    """The account for Postgres, if this process is root: the owner of the folder, or else a system account.

    Raises OSError if the account cannot be created.
    """
    if os.geteuid() != 0:
        return None
    owner = folder.stat().st_uid if folder.exists() else 0
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(ACCOUNT)
    except KeyError:
        if owner:
            raise PermissionError(
                1, f"belongs to user {owner}, who does not exist on this system", str(folder)
            ) from None
        entry = _make_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise PermissionError(
            1, "Postgres does not run as root, and there is no useradd to create an account for it"
        )
    command = [
        useradd,
        "--system",
        "--user-group",
        "--no-create-home",
        "--shell",
        "/usr/sbin/nologin",
        ACCOUNT,
    ]
    made = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    try:
        return pwd.getpwnam(ACCOUNT)  # also if another process created it
    except KeyError:
        raise PermissionError(
            1, f"Postgres does not run as root, and its account was not created: {made.stderr.strip()}"
        ) from None


def let_through(path: Path, account: Account) -> None:
    """Let the account traverse, but not read, the folders above `path`."""
    for folder in path.parents:
        found = folder.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != account.uid:
            folder.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)
            log.warning("%s: other accounts can now traverse it, since Postgres does not run as root", folder)


def let_read(folder: Path) -> None:
    """Let all accounts read an installed program, which under a strict umask only root can."""
    if folder.stat().st_mode & stat.S_IROTH:
        return
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(
                mode
                | stat.S_IRGRP
                | stat.S_IROTH
                | (stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0)
            )
