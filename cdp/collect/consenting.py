"""Consent stamps of calls into the ledger, only where they say something new."""

import datetime as dt
from collections.abc import Sequence

import structlog
from django.db import connection

from cdp.collect.consent_marks import ConsentMark, consent_marks_read
from cdp.collect.messages import Message
from cdp.consent.records import NewConsent
from cdp.consent.selectors import purpose_ids
from cdp.consent.services import consents_record
from cdp.core.ids import IdentifierNo

logger = structlog.get_logger(__name__)

type Spoken = tuple[Message, IdentifierNo, int, dt.datetime]
type AnswerKey = tuple[int, str]


def calls_consent(calls: Sequence[Spoken]) -> int:
    """Record the consents in (message, identifier, source, received) calls; returns how many acts were new.

    In the caller's transaction. A stamp that repeats the identifier's last answer is no act.
    """
    marked = [call for call in calls if "consent" in call[0].context or "consentManagement" in call[0].context]
    if not marked:
        return 0
    purposes = frozenset(purpose_ids())
    found: list[tuple[Spoken, ConsentMark]] = []
    unknown = 0
    for call in marked:
        marks, missed = consent_marks_read(call[0].name, call[0].context, purposes)
        found.extend((call, mark) for mark in marks)
        unknown += missed
    if unknown:
        logger.info("consent_categories_unknown", calls=len(marked), categories=unknown)
    found.sort(key=lambda pair: pair[0][0].timestamp)
    last = _last_answers({identifier_no for (_, identifier_no, _, _), _ in found})
    rows = []
    for (message, identifier_no, source_no, received_at), mark in found:
        key = (identifier_no, mark.purpose)
        known = last.get(key)
        if not mark.is_act and known is not None and known[0] == mark.action and known[1] <= message.timestamp:
            continue
        if known is None or known[1] <= message.timestamp:
            last[key] = (mark.action, message.timestamp)
        rows.append(_consent(message, identifier_no, source_no, received_at, mark))
    return consents_record(rows)


def _last_answers(identifier_nos: set[IdentifierNo]) -> dict[AnswerKey, tuple[str, dt.datetime]]:
    """{(identifier, purpose key): (action, when)} of each identifier's latest act."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (r.identifier_no, r.purpose_id) r.identifier_no, p.key, r.action, r.occurred_at
            FROM cdp_consentrecord r JOIN cdp_purpose p ON p.id = r.purpose_id
            WHERE r.identifier_no = ANY(%s)
            ORDER BY r.identifier_no, r.purpose_id, r.occurred_at DESC, r.record_no DESC
            """,
            [list(identifier_nos)],
        )
        return {(identifier_no, key): (action, at) for identifier_no, key, action, at in cursor.fetchall()}


def _consent(
    message: Message, identifier_no: IdentifierNo, source_no: int, received_at: dt.datetime, mark: ConsentMark
) -> NewConsent:
    page = message.context.get("page")
    url = page.get("url") if isinstance(page, dict) else None
    locale = message.context.get("locale")
    return NewConsent(
        identifier_no=identifier_no,
        purpose=mark.purpose,
        action=mark.action,
        occurred_at=message.timestamp,
        received_at=received_at,
        source_no=source_no,
        method="save" if mark.is_act else "stamp",
        idempotency_key=message.message_id[:200],
        locale=locale[:12] if isinstance(locale, str) else "",
        evidence={"provider": mark.provider, **({"url": url} if isinstance(url, str) else {})},
    )
