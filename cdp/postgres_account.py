"""Which account runs the private PostgreSQL server, since PostgreSQL refuses root.

Nothing outside the checkout is changed for it: no account is made, no folder is opened to others.
"""

import os
import pwd
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")


class LocalPostgresError(Exception):
    """The private server cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server: ``name`` is empty for the present account; see ``cdp.child`` for ``pass_through``."""

    name: str = ""
    pass_through: bool = False

    def command(self, *program: str | Path, parent: int = 0) -> list[str]:
        """``program`` as this account; it ends when ``parent`` ends, by PostgreSQL's fast shutdown."""
        options = ["--account", self.name] if self.name else []
        options += ["--pass-through"] if self.pass_through else []
        options += ["--parent", str(parent), "--signal", str(int(signal.SIGINT))] if parent else []
        return [sys.executable, "-I", str(CHILD), *options, "--", *map(str, program)]


def closed_parent(path: Path) -> Path | None:
    """The first folder above ``path`` that other accounts may not walk through."""
    return next((p for p in reversed(path.resolve().parents) if not p.stat().st_mode & 0o001), None)


def account_choose(data_dir: Path, bin_dir: Path) -> Account:
    """PostgreSQL refuses to run as root: then the owner of the existing data, else ``postgres`` or ``nobody``."""
    if os.geteuid() != 0:
        return Account()
    folder = data_dir / "postgres"
    names = [pwd.getpwuid(folder.stat().st_uid).pw_name] if folder.exists() and folder.stat().st_uid else []
    known = {entry.pw_name for entry in pwd.getpwall()}
    names += [n for n in (os.environ.get("CDP_POSTGRES_ACCOUNT", ""), "postgres", "nobody") if n in known]
    if not names:
        raise LocalPostgresError(
            "PostgreSQL does not run as root, and this machine has no account `postgres` or `nobody`. "
            "Run as an ordinary account, or name one in CDP_POSTGRES_ACCOUNT, or set DATABASE_URL."
        )
    for account in (Account(names[0]), Account(names[0], pass_through=True)):
        reach = account.command(
            "/bin/sh", "-c", 'cd "$1" && [ -x "$2" ] && "$2" --version', "sh", data_dir, bin_dir / "postgres"
        )
        if subprocess.run(reach, capture_output=True, check=False).returncode == 0:  # noqa: S603
            return account
    blocked = closed_parent(data_dir) or closed_parent(bin_dir) or data_dir
    raise LocalPostgresError(
        f"PostgreSQL does not run as root, and the account `{names[0]}` may not walk through {blocked}. "
        f"Either `chmod o+x {blocked}`, or put the checkout elsewhere (/opt, /srv), or set DATABASE_URL."
    )
