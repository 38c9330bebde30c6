"""Writes of consent: acts into the ledger, states out of it, suppression.

The ledger (``ConsentRecord``) only grows; ``ConsentState`` is what ``cdp.consent.projection`` makes of it and can be rebuilt
at any time. Both change in one transaction, together with the message that makes audiences follow.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection, transaction

from cdp.access.services import audit
from cdp.consent.evidence import evidence_clean
from cdp.consent.models import ACTIONS, DestinationPurpose, Purpose, Suppression
from cdp.consent.projection import Act, Answer, PersonState, identifier_answer, person_state
from cdp.consent.records import NewConsent
from cdp.core.copying import rows_copy
from cdp.core.errors import RejectedError
from cdp.events.services import outbox_write
from cdp.profiles.locks import people_lock
from cdp.profiles.services import profiles_touch

__all__ = [
    "consents_append",
    "consents_expire",
    "consents_project",
    "consents_record",
    "destination_purposes_map",
    "suppression_add",
    "suppression_lift",
    "suppressions_forget",
]

LEDGER_COLUMNS = (
    "identifier_no, purpose_id, action, occurred_at, received_at, source_no, method, notice_version, locale, jurisdiction, "
    "evidence, idempotency_key"
)
STATE_COLUMNS = "profile_no, purpose_id, state, since, expires_at, record_no, is_conflict"
PROFILES_PER_MESSAGE = 5_000


def _purpose_ids(rows: Sequence[NewConsent]) -> dict[str, int]:
    ids = dict(Purpose.objects.filter(key__in={row.purpose for row in rows}).values_list("key", "id"))
    for position, row in enumerate(rows):
        if row.purpose not in ids:
            raise RejectedError(
                "no purpose has this key; create it first or correct the key.",
                code="unknown_purpose",
                field=f"consents[{position}].purpose",
            )
        if row.action not in ACTIONS:
            raise RejectedError(
                f"an action is one of {', '.join(ACTIONS)}.",
                code="unknown_action",
                field=f"consents[{position}].action",
            )
        if not row.idempotency_key or len(row.idempotency_key) > 200:
            raise RejectedError(
                "an idempotency key has 1 to 200 characters.",
                code="idempotency_key",
                field=f"consents[{position}].idempotency_key",
            )
    return ids


def consents_record(rows: Sequence[NewConsent]) -> int:
    """As ``consents_append``; returns how many acts were new."""
    return len(consents_append(rows))


def consents_append(rows: Sequence[NewConsent]) -> set[tuple[int, str, str]]:
    """Append acts to the ledger and bring the states of their people up to date.

    Returns the acts that were new as (source_no, idempotency key, purpose), by which an act is known: safe to repeat.
    In the caller's transaction.
    Raises RejectedError naming the row for an unknown purpose or action; then nothing is written.
    """
    if not rows:
        return set()
    purpose_ids = _purpose_ids(rows)
    people_lock()
    with connection.cursor() as cursor:
        _stage(cursor, rows, purpose_ids)
        cursor.execute(
            f"""
            WITH added AS (
                INSERT INTO cdp_consentrecord ({LEDGER_COLUMNS})
                SELECT {LEDGER_COLUMNS} FROM cdp_stage_consents
                WHERE identifier_no IN (SELECT identifier_no FROM cdp_identifier)  -- else erased meanwhile
                ON CONFLICT (source_no, idempotency_key, purpose_id) DO NOTHING
                RETURNING source_no, idempotency_key, purpose_id, identifier_no
            )
            SELECT added.source_no, added.idempotency_key, added.purpose_id, i.profile_no
            FROM added JOIN cdp_identifier i USING (identifier_no)
            """  # noqa: S608 - our own column names
        )
        added = cursor.fetchall()
        cursor.execute("TRUNCATE cdp_stage_consents")
    consents_project({profile_no for *_, profile_no in added})
    keys = {number: key for key, number in purpose_ids.items()}
    return {(source_no, key, keys[purpose_id]) for source_no, key, purpose_id, _ in added}


def _stage(cursor: Any, rows: Sequence[NewConsent], purpose_ids: Mapping[str, int]) -> None:
    """The acts in a temporary table, their evidence cleaned."""
    cursor.execute(
        "CREATE TEMP TABLE IF NOT EXISTS cdp_stage_consents (identifier_no bigint, purpose_id bigint, action text, "
        "occurred_at timestamptz, received_at timestamptz, source_no bigint, method text, notice_version text, "
        "locale text, jurisdiction text, evidence jsonb, idempotency_key text) ON COMMIT DELETE ROWS"
    )
    rows_copy(
        cursor,
        "cdp_stage_consents",
        LEDGER_COLUMNS,
        (
            (
                row.identifier_no,
                purpose_ids[row.purpose],
                row.action,
                row.occurred_at,
                row.received_at,
                row.source_no,
                row.method[:30],
                row.notice_version[:40],
                row.locale[:12],
                row.jurisdiction[:12],
                msgspec.json.encode(evidence_clean(row.evidence)).decode(),
                row.idempotency_key,
            )
            for row in rows
        ),
    )


def consents_project(profile_nos: Iterable[int]) -> int:
    """Recompute the states of these profiles from the ledger; only changed rows are written. Returns how many changed.

    In the caller's transaction. Profiles whose state changed are touched; for those that are no longer granted a message
    ``consent_changed`` {profile_nos, purposes} goes into the outbox.
    """
    numbers = sorted(set(profile_nos))
    if not numbers:
        return 0
    people_lock()
    wanted = _states_wanted(numbers)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {STATE_COLUMNS} FROM cdp_consentstate WHERE profile_no = ANY(%s)", [numbers])  # noqa: S608
        present = {(no, purpose): PersonState(*rest) for no, purpose, *rest in cursor.fetchall()}
        changed = {key: state for key, state in wanted.items() if present.get(key) != state}
        gone = present.keys() - wanted.keys()
        stale = sorted(gone | (changed.keys() & present.keys()))
        if stale:
            cursor.execute(
                "DELETE FROM cdp_consentstate USING unnest(%s::bigint[], %s::bigint[]) AS old (profile_no, purpose_id) "
                "WHERE cdp_consentstate.profile_no = old.profile_no AND cdp_consentstate.purpose_id = old.purpose_id",
                [[no for no, _ in stale], [purpose for _, purpose in stale]],
            )
        if changed:
            rows_copy(
                cursor,
                "cdp_consentstate",
                STATE_COLUMNS,
                (
                    (no, purpose, s.state, s.since, s.expires_at, s.record_no, s.is_conflict)
                    for (no, purpose), s in sorted(changed.items())
                ),
            )
    profiles_touch({no for no, _ in changed.keys() | gone})
    _announce(
        {
            key
            for key, state in present.items()
            if state.state == "granted" and (key not in wanted or wanted[key].state != "granted")
        }
    )
    return len(changed) + len(gone)


def _states_wanted(numbers: list[int]) -> dict[tuple[int, int], PersonState]:
    """{(profile_no, purpose_id): state} by the rules, from the ledger."""
    acts: defaultdict[tuple[int, int], defaultdict[int, list[Act]]] = defaultdict(lambda: defaultdict(list))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.profile_no, r.purpose_id, r.identifier_no, r.record_no, r.action, r.occurred_at, r.received_at "
            "FROM cdp_identifier i JOIN cdp_consentrecord r USING (identifier_no) WHERE i.profile_no = ANY(%s)",
            [numbers],
        )
        for profile_no, purpose_id, identifier_no, *act in cursor:
            acts[profile_no, purpose_id][identifier_no].append(Act(*act))
    days = dict(Purpose.objects.values_list("id", "expires_after_days"))
    states: dict[tuple[int, int], PersonState] = {}
    for key, by_identifier in acts.items():
        answers: list[Answer] = [a for a in map(identifier_answer, by_identifier.values()) if a is not None]
        state = person_state(answers, days[key[1]])
        if state is not None:
            states[key] = state
    return states


def _announce(ended: set[tuple[int, int]]) -> None:
    """Tell the later slices whose grants ended, in messages of bounded size."""
    if not ended:
        return
    keys = dict(Purpose.objects.values_list("id", "key"))
    profile_nos = sorted({no for no, _ in ended})
    for start in range(0, len(profile_nos), PROFILES_PER_MESSAGE):
        part = set(profile_nos[start : start + PROFILES_PER_MESSAGE])
        purposes = sorted({keys[purpose] for no, purpose in ended if no in part})
        outbox_write("consent_changed", {"profile_nos": sorted(part), "purposes": purposes})


def consents_expire(now: dt.datetime, limit: int = 1_000) -> int:
    """Write ``expired`` for grants whose time is up, so that removals follow; returns how many. Called until it returns 0."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (s.record_no, p.key)
                   r.identifier_no, p.key, 'expired', s.expires_at, %s, r.source_no, 'timer', 'expired:' || s.record_no,
                   r.notice_version, r.locale, r.jurisdiction
            FROM cdp_consentstate s
            JOIN cdp_purpose p ON p.id = s.purpose_id
            JOIN cdp_consentrecord r ON r.record_no = s.record_no
            WHERE s.state = 'granted' AND s.expires_at <= %s
            LIMIT %s
            """,
            [now, now, limit],
        )
        return consents_record([NewConsent(*row) for row in cursor.fetchall()])


def suppression_add(identifier_no: int, reason: str, now: dt.datetime, actor: str) -> bool:
    """Never deliver this identifier's person anywhere from now on; False when that holds already."""
    with transaction.atomic():
        people_lock()
        row, created = Suppression.objects.select_for_update().get_or_create(
            identifier_no=identifier_no, defaults={"reason": reason, "created_at": now}
        )
        if not created and row.lifted_at is None:
            return False
        if not created:
            Suppression.objects.filter(identifier_no=identifier_no).update(
                reason=reason, created_at=now, lifted_at=None
            )
        audit(actor, "suppression_added", "identifier", identifier_no, {"reason": reason})
        profile_nos = _touch_holder(identifier_no)
        if profile_nos:
            outbox_write("profiles_suppressed", {"profile_nos": profile_nos})
    return True


def suppression_lift(identifier_no: int, now: dt.datetime, actor: str) -> bool:
    """Deliver again where consent allows it; False when nothing was suppressed."""
    with transaction.atomic():
        people_lock()
        lifted = Suppression.objects.filter(identifier_no=identifier_no, lifted_at=None).update(lifted_at=now) == 1
        if lifted:
            audit(actor, "suppression_lifted", "identifier", identifier_no)
            _touch_holder(identifier_no)
    return lifted


def _touch_holder(identifier_no: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT profile_no FROM cdp_identifier WHERE identifier_no = %s", [identifier_no])
        profile_nos = [no for (no,) in cursor.fetchall()]
    profiles_touch(profile_nos)
    return profile_nos


def destination_purposes_map(destination: str, purposes: Sequence[str], actor: str) -> None:
    """Say which purposes must all be granted before anybody goes to ``destination``. Raises RejectedError for unknown ones."""
    known = set(Purpose.objects.filter(key__in=purposes).values_list("key", flat=True))
    if not purposes or set(purposes) - known:
        raise RejectedError(
            "name at least one purpose, and only ones that exist.", code="unknown_purpose", field="purposes"
        )
    with transaction.atomic():
        DestinationPurpose.objects.update_or_create(
            destination=destination, defaults={"purposes": list(dict.fromkeys(purposes))}
        )
        audit(actor, "destination_purposes_mapped", "destination", destination, {"purposes": sorted(known)})


def suppressions_forget(identifier_nos: Sequence[int]) -> None:
    """Drop the suppressions of erased identifiers; their tombstones keep them out from now on."""
    Suppression.objects.filter(identifier_no__in=identifier_nos).delete()
