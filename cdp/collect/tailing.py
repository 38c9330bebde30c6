"""What arrives right now: the newest calls of one source with what became of each, and nobody named in full.

The inbox and the event window have no index by source, since every call would pay for it. Both are read from their newest
end by number and no further than ``WINDOW_ROWS``, so that a page that asks every two seconds costs the same at any depth.
"""

import datetime as dt
from dataclasses import dataclass

from cdp.access.keys import keyring
from cdp.collect.glimpses import Glimpse, glimpse_raw, name_mask, person_mask
from cdp.collect.models import Reject, RepeatedCall
from cdp.identity.recording import VALUE_CONTEXT
from cdp.screen.reading import rows

TAIL_ROWS = 50
TAKEN_SINCE = {"accepted": " Taken on replay.", "duplicate": " Came in again since."}
WINDOW_ROWS = 20_000
WAITING_SQL = """
SELECT message_id, received_at, payload FROM (
    SELECT inbox_no, source_no, message_id, received_at, payload FROM cdp_inboxevent
    ORDER BY inbox_no DESC LIMIT %(window)s
) AS newest WHERE source_no = %(source_no)s ORDER BY inbox_no DESC LIMIT %(limit)s
"""
STORED_SQL = """
SELECT e.message_id, e.received_at, e.kind, e.name, t.key, i.value_encrypted FROM (
    SELECT event_no, message_id, received_at, kind, name, identifier_no FROM (
        SELECT event_no, source_no, message_id, received_at, kind, name, identifier_no FROM cdp_event
        ORDER BY event_no DESC LIMIT %(window)s
    ) AS newest WHERE source_no = %(source_no)s ORDER BY event_no DESC LIMIT %(limit)s
) AS e
LEFT JOIN cdp_identifier i ON i.identifier_no = e.identifier_no
LEFT JOIN cdp_identifiertype t ON t.id = i.type_id
ORDER BY e.event_no DESC
"""


@dataclass(frozen=True, slots=True)
class TailLine:
    """One call. ``outcome`` is accepted, waiting, duplicate or refused; ``reason`` says why, or what was left out."""

    at: dt.datetime
    seen: Glimpse
    outcome: str
    reason: str = ""
    field: str = ""


def tail_read(source_no: int) -> list[TailLine]:
    """The newest calls of a source, newest first, at most 50. Four statements."""
    refused = list(
        Reject.objects.filter(source_id=source_no, import_run=None)
        .order_by("-reject_no")
        .values_list("message_id", "received_at", "kind", "name", "person", "field", "reason", "is_kept", "outcome")[
            :TAIL_ROWS
        ]
    )
    notes = {message_id: (reason, field) for message_id, *_, field, reason, is_kept, _ in refused if is_kept}
    lines = [
        TailLine(at, Glimpse(kind, name, person), "refused", reason + TAKEN_SINCE.get(outcome, ""), field)
        for _, at, kind, name, person, field, reason, is_kept, outcome in refused
        if not is_kept
    ]
    lines += _accepted(source_no, notes)
    lines += [
        TailLine(each.received_at, Glimpse(each.kind, each.name, each.person), "duplicate")
        for each in RepeatedCall.objects.filter(source_no=source_no).order_by("-repeat_no")[:TAIL_ROWS]
    ]
    lines.sort(key=lambda line: line.at, reverse=True)
    return lines[:TAIL_ROWS]


def _accepted(source_no: int, notes: dict[str, tuple[str, str]]) -> list[TailLine]:
    binds = {"source_no": source_no, "window": WINDOW_ROWS, "limit": TAIL_ROWS}
    lines: dict[str, TailLine] = {}
    for message_id, at, payload in rows(WAITING_SQL, binds):
        lines[message_id] = TailLine(at, glimpse_raw(bytes(payload)), "waiting", *notes.get(message_id, ()))
    ring = keyring()
    for message_id, at, kind, name, key, sealed in rows(STORED_SQL, binds):
        person = "" if sealed is None else person_mask(key, ring.decrypt(bytes(sealed), context=VALUE_CONTEXT))
        lines[message_id] = TailLine(at, Glimpse(kind, name_mask(name), person), "accepted", *notes.get(message_id, ()))
    return list(lines.values())
