"""Issue, show and revoke API keys."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cdp.access.models import ApiKey
from cdp.access.scopes import SCOPES
from cdp.access.services import api_key_create, api_key_revoke
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now


class Command(BaseCommand):
    help = "API keys: create (the key is printed once), show, revoke."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Make a key; it is printed once and never readable again.")
        create.add_argument("--name", required=True, help="Which service will hold it.")
        create.add_argument("--scopes", required=True, help=f"Comma-separated: {', '.join(SCOPES)}.")
        create.add_argument("--expires-days", type=int, default=None, help="Life in days; without it the key stays.")
        actions.add_parser("show", help="Every key with its scopes and last use.")
        revoke = actions.add_parser("revoke", help="Close a key for good.")
        revoke.add_argument("prefix", help="The 12 characters after `cdp_`.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = utc_now()
        match options["action"]:
            case "create":
                self.create(options["name"], options["scopes"], options["expires_days"], now)
            case "revoke":
                if not api_key_revoke(options["prefix"], actor="system", now=now):
                    raise CommandError(f"There is no live key {options['prefix']}.")
                self.stdout.write(f"Revoked {options['prefix']}.")
            case _:
                self.show()

    def create(self, name: str, scopes: str, expires_days: int | None, now: dt.datetime) -> None:
        if not 0 < len(name) <= 80:
            raise CommandError("--name takes 1 to 80 characters.")
        if expires_days is not None and not 0 < expires_days <= 3650:
            raise CommandError("--expires-days takes 1 to 3650.")
        expires_at = None if expires_days is None else now + dt.timedelta(days=expires_days)
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        try:
            _, text = api_key_create(name, wanted, actor="system", expires_at=expires_at)
        except RejectedError as error:
            raise CommandError(error.message) from error
        self.stdout.write(text)
        self.stderr.write("Keep it now: only its hash is stored.")

    def show(self) -> None:
        for key in ApiKey.objects.order_by("created_at"):
            state = "revoked" if key.revoked_at else "live"
            used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            self.stdout.write(f"{key.prefix}  {state:7}  {used:16}  {key.name}  {','.join(key.scopes)}")
