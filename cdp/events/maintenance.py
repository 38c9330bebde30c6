"""One round of upkeep: what must happen first, then what may wait."""

import datetime as dt

from cdp.events.files.compaction import store_compact
from cdp.events.files.erasure import store_rewrite_erased
from cdp.events.files.folding import store_fold_overlay, store_project_properties
from cdp.events.models import ErasedIdentifier, IdentifierOverlay
from cdp.events.outbox import outbox_prune
from cdp.events.upkeep import partitions_upkeep, store_sweep

__all__ = ["OVERLAY_ROWS", "store_upkeep"]

OVERLAY_ROWS = 20_000
OUTBOX_KEPT = dt.timedelta(days=7)


def store_upkeep(now: dt.datetime) -> None:
    """Everything the store needs now and then. Safe to repeat, to kill, and to run twice at once."""
    partitions_upkeep(now)
    if ErasedIdentifier.objects.filter(rewritten_at=None).exists():
        store_rewrite_erased(now)
    if IdentifierOverlay.objects.count() > OVERLAY_ROWS:
        store_fold_overlay()
    store_compact(now, eager=False)
    store_project_properties()
    store_sweep(now)
    outbox_prune(now - OUTBOX_KEPT)
