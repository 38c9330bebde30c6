"""Save a rule as the next version of its segment."""

import datetime as dt
import re

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F

from cdp.access.services import audit
from cdp.core.errors import RejectedError
from cdp.events.locks import LOCK_SPACE
from segments.definition.fingerprint import definition_fingerprint
from segments.definition.models import Segment, SegmentVersion
from segments.definition.parse import definition_parse
from segments.definition.selectors import catalogue_load
from segments.definition.sentence import definition_sentence
from segments.definition.validate import definition_validate

__all__ = ["segment_save"]

KEY = re.compile(r"[a-z][a-z0-9_\-]{0,59}")
RESERVED_KEYS = frozenset({"preview"})  # an address of its own
SAVE_LOCK = 40


def segment_save(
    key: str,
    title: str,
    definition: object,
    user: User | None,
    reason: str,
    *,
    now: dt.datetime,
    actor: str = "system",
    description: str | None = None,
    evaluate_every_minutes: int | None = None,
    expected_version: int | None = None,
) -> SegmentVersion:
    """Create the segment or give it the next version; the same rule in another order makes no new version.

    A new version is due for counting at once, and a count that is under way for an older one is discarded.
    Raises DefinitionError (all problems with their paths), or RejectedError: ``conflict`` for an archived key or when
    ``expected_version`` is not the current one any more.
    """
    _words_check(key, title, reason)
    parsed = definition_parse(definition)
    with transaction.atomic():
        _save_alone()  # two saves at once could close a circle that neither of them sees
        segment = Segment.objects.select_for_update().filter(key=key).first()
        catalogue = catalogue_load()
        definition_validate(parsed, catalogue, own_key=key)
        if segment is None:
            segment = Segment(key=key, state="counting", due_at=now, created_at=now)
        _state_check(segment, expected_version)
        segment.title = title.strip()
        if description is not None:
            segment.description = description.strip()
        if evaluate_every_minutes is not None:
            segment.evaluate_every_minutes = evaluate_every_minutes
        fingerprint, current = definition_fingerprint(parsed), segment.current_version
        if current is not None and current.fingerprint == fingerprint:
            segment.save(update_fields=["title", "description", "evaluate_every_minutes"])
            return current
        segment.save()
        version = SegmentVersion.objects.create(
            segment=segment,
            version=current.version + 1 if current else 1,
            definition=definition,
            fingerprint=fingerprint,
            sentence=definition_sentence(parsed, catalogue),
            reason=reason.strip(),
            created_by=user,
            created_at=now,
        )
        Segment.objects.filter(segment_no=segment.segment_no).update(
            current_version=version,
            state="counting",
            error="",
            due_at=now,
            leased_until=None,
            fence=F("fence") + 1,
        )
        audit(actor, "segment_saved", "segment", key, {"version": version.version, "reason": reason.strip()})
    return version


def _words_check(key: str, title: str, reason: str) -> None:
    if not KEY.fullmatch(key) or key in RESERVED_KEYS:
        message = "A key starts with a letter and has up to 60 lower-case letters, digits, _ and -."
        raise RejectedError(message, code="invalid_key", field="key")
    if not title.strip() or len(title) > 80:
        raise RejectedError("Enter a title of up to 80 characters.", code="invalid_title", field="title")
    if len(reason) > 200:
        raise RejectedError("A reason has up to 200 characters.", code="too_long", field="reason")


def _state_check(segment: Segment, expected_version: int | None) -> None:
    if segment.state == "archived":
        message = "This segment is archived. Keys are never used again: choose another one."
        raise RejectedError(message, code="conflict", field="key")
    current = segment.current_version.version if segment.current_version else None
    if expected_version is not None and expected_version != current:
        message = f"Somebody saved version {current} meanwhile. Look at it before you save yours."
        raise RejectedError(message, code="conflict", field="expected_version")


def _save_alone() -> None:
    """Hold the right to save rules until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK_SPACE, SAVE_LOCK])
