"""Sources, and the moment in which a tracking call becomes safe."""

import datetime as dt
import secrets
from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from cdp.access.services import audit
from cdp.collect.draining import DrainResult, drain_slot_leave, drain_slot_take, inbox_drain
from cdp.collect.messages import Accepted, Refused
from cdp.collect.models import Source
from cdp.collect.rejects import NewReject, rejects_record, rejects_sweep
from cdp.collect.selectors import sources_forget
from cdp.core.errors import RejectedError
from cdp.events.records import InboxItem
from cdp.events.services import inbox_add

__all__ = [
    "DrainResult",
    "calls_receive",
    "drain_slot_leave",
    "drain_slot_take",
    "inbox_drain",
    "rejects_sweep",
    "source_create",
    "source_for_files",
]


def source_create(
    key: str, title: str, kind: str, *, actor: str, allowed_origins: str = "", is_made_up: bool = False
) -> Source:
    """A new source with a fresh write key. Raises RejectedError ``conflict`` when the key is taken."""
    try:
        with transaction.atomic():
            source = Source.objects.create(
                key=key,
                title=title,
                kind=kind,
                write_key=secrets.token_urlsafe(24),
                allowed_origins=allowed_origins,
                is_made_up=is_made_up,
            )
            audit(actor, "source_created", "source", source.source_no, {"kind": kind})
    except IntegrityError as error:
        raise RejectedError(f"There is a source called {key} already.", code="conflict", field="key") from error
    sources_forget()
    return source


def source_for_files(name: str) -> Source:
    """The source that a file's rows belong to, made at its first file. Any existing source of that key serves."""
    key = slugify(name)[:60]
    if not key:
        raise RejectedError("--source needs a name with letters or digits.", code="required", field="source")
    source, is_new = Source.objects.get_or_create(
        key=key, defaults={"title": name.strip()[:80], "kind": "file", "write_key": secrets.token_urlsafe(24)}
    )
    if is_new:
        sources_forget()
    return source


def calls_receive(
    source_no: int, accepted: Sequence[Accepted], refused: Sequence[Refused], received_at: dt.datetime
) -> int:
    """Commit what was accepted to the inbox and what was refused to the rejects; returns how many calls were new.

    When it returns, the calls are on disk; a message id that came before has no second effect.
    """
    items = [InboxItem(source_no, call.message_id, received_at, call.payload) for call in accepted]
    if not refused:
        return inbox_add(items)
    with transaction.atomic():
        fresh = inbox_add(items)
        rejects_record(
            (NewReject(source_no, each.problem, each.sample, message_id=each.message_id) for each in refused),
            received_at,
        )
    return fresh
