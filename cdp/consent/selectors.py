"""Reads of purposes, states, suppression."""

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from django.db import connection

from cdp.consent.models import ConsentRecord, Purpose
from cdp.core.copying import numbers_read

ACT_FIELDS = (
    "record_no",
    "purpose",
    "action",
    "identifier_type",
    "occurred_at",
    "received_at",
    "method",
    "notice_version",
    "locale",
    "jurisdiction",
    "source_no",
)


def purpose_ids() -> dict[str, int]:
    """{key: id} of every purpose."""
    return dict(Purpose.objects.values_list("key", "id"))


def acts_known(source_no: int, idempotency_keys: Sequence[str]) -> set[tuple[str, str]]:
    """Those (idempotency key, purpose) that the ledger holds already."""
    found = ConsentRecord.objects.filter(source_no=source_no, idempotency_key__in=idempotency_keys)
    return set(found.values_list("idempotency_key", "purpose__key"))


def suppressed_profiles(profile_nos: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of ``profile_nos`` that hold a suppressed identifier, ascending."""
    with connection.cursor() as cursor:
        found = numbers_read(
            cursor,
            "SELECT DISTINCT i.profile_no FROM cdp_suppression s JOIN cdp_identifier i USING (identifier_no) "
            "WHERE s.lifted_at IS NULL",
        )
    return np.unique(profile_nos[np.isin(profile_nos, found[:, 0])])


def acts_of_profile(profile_no: int) -> list[dict[str, object]]:
    """Every act of a person's identifiers with its evidence, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.record_no, u.key, r.action, t.key, r.occurred_at, r.received_at, r.method, r.notice_version,
                   r.locale, r.jurisdiction, r.source_no, r.evidence::text
            FROM cdp_identifier i
            JOIN cdp_identifiertype t ON t.id = i.type_id
            JOIN cdp_consentrecord r USING (identifier_no)
            JOIN cdp_purpose u ON u.id = r.purpose_id
            WHERE i.profile_no = %s
            ORDER BY r.occurred_at DESC, r.record_no DESC
            """,
            [profile_no],
        )
        return [
            dict(zip(ACT_FIELDS, row[:-1], strict=True)) | {"evidence": json.loads(row[-1])}
            for row in cursor.fetchall()
        ]
