"""Reads of purposes, states, suppression."""

import numpy as np
import numpy.typing as npt
from django.db import connection

from cdp.consent.models import Purpose
from cdp.core.copying import numbers_read


def purpose_ids() -> dict[str, int]:
    """{key: id} of every purpose."""
    return dict(Purpose.objects.values_list("key", "id"))


def suppressed_profiles(profile_nos: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Those of ``profile_nos`` that hold a suppressed identifier, ascending."""
    with connection.cursor() as cursor:
        found = numbers_read(
            cursor,
            "SELECT DISTINCT i.profile_no FROM cdp_suppression s JOIN cdp_identifier i USING (identifier_no) "
            "WHERE s.lifted_at IS NULL",
        )
    return np.intersect1d(found[:, 0], profile_nos)
