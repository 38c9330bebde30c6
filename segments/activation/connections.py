"""Accounts at ad networks: saved with their secrets sealed, opened for sending, paused when a person must act."""

import datetime as dt
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import structlog
from django.db import transaction

from cdp.access.keys import keyring
from cdp.access.services import audit
from cdp.consent.gate import destination_purposes
from cdp.core.errors import Problem, RejectedError
from segments.activation.models import AudienceTarget, Connection
from segments.activation.policy import SANDBOX_POLICY, SendPolicy
from segments.destinations.contract import Account, Destination, NeedsHumanError, account_problems, settings_filled
from segments.destinations.registry import destination_find

log = structlog.get_logger(__name__)

SECRETS_CONTEXT = b"segments_connection.secrets"


class ConnectionProblemsError(RejectedError):
    """Several fields of a connection are wrong; ``problems`` names each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems[0].message, code=problems[0].code, field=problems[0].field)
        self.problems = problems


def connection_save(
    key: str,
    title: str,
    destination_slug: str,
    *,
    base_url: str = "",
    settings: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    is_sandbox: bool = False,
    actor: str,
) -> Connection:
    """Make or change a connection. ``secrets`` None keeps the stored ones; they are never readable again.

    Raises ConnectionProblemsError, or RejectedError (``conflict``) when the destination would change.
    """
    try:
        destination = destination_find(destination_slug)
    except LookupError as error:
        raise RejectedError(str(error), code="unknown_destination", field="destination") from None
    with transaction.atomic():
        row = Connection.objects.select_for_update().filter(key=key).first()
        if row is not None and row.destination != destination_slug:
            raise RejectedError(
                "A connection keeps its destination; make another one.", code="conflict", field="destination"
            )
        address = base_url or (row.base_url if row else destination.default_base_url)
        kept = dict(settings) if settings is not None else dict(row.settings) if row else {}
        known = dict(secrets) if secrets is not None else secrets_open(row) if row else {}
        account = Account(address, settings_filled(destination, kept), known)
        problems = [*base_url_problems(address, is_sandbox=is_sandbox), *account_problems(destination, account)]
        if problems:
            raise ConnectionProblemsError(problems)
        saved = row or Connection(key=key, destination=destination_slug)
        saved.title, saved.base_url, saved.settings, saved.is_sandbox = title, address, kept, is_sandbox
        if secrets is not None:
            saved.secrets_encrypted = secrets_seal(known)
        saved.save()
        audit(
            actor,
            "connection_saved",
            "connection",
            key,
            {"destination": destination_slug, "secrets": secrets is not None},
        )
    return saved


def base_url_problems(address: str, *, is_sandbox: bool) -> list[Problem]:
    """HTTPS, no credentials in it, and no address inside our own network, but for a sandbox on this machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.username or parts.query or parts.fragment:
        return [
            Problem(
                "base_url", "format", "Enter an address such as https://graph.facebook.com, without query or login."
            )
        ]
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        is_loopback, is_inside = host == "localhost", False
    else:
        is_loopback = number.is_loopback
        is_inside = not number.is_global or number.is_multicast
    if is_sandbox:
        return []
    if parts.scheme != "https":
        return [Problem("base_url", "https", "Use https. Plain http is for a sandbox only.")]
    if is_loopback or is_inside:
        return [
            Problem(
                "base_url", "internal", "This address lies inside our own network. Mark the connection as a sandbox."
            )
        ]
    return []


def secrets_seal(secrets: Mapping[str, str]) -> bytes:
    return keyring().encrypt(msgspec.json.encode(dict(secrets)).decode(), context=SECRETS_CONTEXT)


def secrets_open(row: Connection) -> dict[str, str]:
    """The stored secrets; for the moment of use only."""
    if not row.secrets_encrypted:
        return {}
    text = keyring().decrypt(bytes(row.secrets_encrypted), context=SECRETS_CONTEXT)
    return msgspec.json.decode(text.encode(), type=dict[str, str])


def destination_account(row: Connection) -> tuple[Destination, Account]:
    """The network's connector and the opened account. Raises NeedsHumanError when the connector is gone."""
    destination = _destination(row)
    return destination, Account(row.base_url, settings_filled(destination, row.settings), secrets_open(row))


def _destination(row: Connection) -> Destination:
    try:
        return destination_find(row.destination)
    except LookupError as error:
        raise NeedsHumanError(str(error), code="unknown_destination") from None


def send_policy(row: Connection) -> SendPolicy:
    """A sandbox on this machine answers fast; the networks do not."""
    return SANDBOX_POLICY if row.is_sandbox else SendPolicy()


def target_purposes(target: AudienceTarget) -> tuple[str, ...]:
    """All that must be granted: the audience's purposes, the destination's, and those whose consent the network is told.

    Raises NeedsHumanError when the destination is unmapped or its connector is gone.
    """
    connection = target.connection
    mapped = destination_purposes(connection.destination)
    return tuple(dict.fromkeys([*target.audience.purposes, *mapped, *purposes_told(connection)]))


def purposes_told(row: Connection) -> list[str]:
    """The purposes whose consent the network is told with every person. Raises NeedsHumanError when the connector is gone."""
    destination = _destination(row)
    settings = settings_filled(destination, row.settings)
    return [settings[spec.key] for spec in destination.capabilities.settings if spec.is_purpose]


def connection_pause(connection_id: int, reason: str, now: dt.datetime) -> None:
    """Send nothing more until a person has acted."""
    if Connection.objects.filter(pk=connection_id, paused_at=None).update(paused_at=now, paused_reason=reason[:300]):
        log.error("connection_paused", connection=connection_id)


def connection_resume(key: str, *, actor: str) -> None:
    """Go on where it stopped: what was under way is sent again. Raises RejectedError for an unknown key."""
    with transaction.atomic():
        changed = Connection.objects.filter(key=key).update(paused_at=None, paused_reason="", wait_until=None)
        if not changed:
            raise RejectedError("No connection has this key.", code="not_found", field="key")
        audit(actor, "connection_resumed", "connection", key)
