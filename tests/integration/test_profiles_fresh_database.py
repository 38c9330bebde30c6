"""A test that commits leaves nothing behind for the next one, and the seeds stay."""

import pytest

from cdp.access.models import AuditEntry
from cdp.consent.models import Purpose
from cdp.identity.models import IdentifierType


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_seeds_stay_and_ledgers_are_emptied(turn: int) -> None:
    assert AuditEntry.objects.count() == 0
    assert IdentifierType.objects.count() == 6
    assert Purpose.objects.count() == 4
    AuditEntry.objects.create(actor="a", action="b", subject_kind="c", subject_id=str(turn))
    Purpose.objects.all().delete()
