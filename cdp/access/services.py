"""Issue and revoke keys, write the audit log, note signs of life."""

import datetime as dt
from collections.abc import Mapping, Sequence

from cdp.access.models import ApiKey, AuditEntry, Heartbeat
from cdp.access.scopes import SCOPES, unknown_scopes
from cdp.access.selectors import key_cache_clear
from cdp.core.errors import RejectedError

USED_RESOLUTION = dt.timedelta(minutes=1)
_marked: dict[str, dt.datetime] = {}


def audit(
    actor: str,
    action: str,
    subject_kind: str,
    subject_id: object,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Append one line to the audit log, in the caller's transaction. ``detail`` holds ids, counts and reasons only."""
    AuditEntry.objects.create(
        actor=actor[:80],
        action=action[:60],
        subject_kind=subject_kind[:40],
        subject_id=str(subject_id)[:64],
        detail=dict(detail or {}),
    )


def api_key_create(
    name: str, scopes: Sequence[str], *, actor: str, expires_at: dt.datetime | None = None
) -> tuple[ApiKey, str]:
    """A saved key and its full text, which is never readable again. Raises RejectedError for a scope that is none."""
    wanted = list(dict.fromkeys(scopes))
    if unknown := unknown_scopes(wanted):
        raise RejectedError(
            f"No such scope: {', '.join(unknown)}. Choose from {', '.join(SCOPES)}.",
            code="unknown_scope",
            field="scopes",
        )
    if not wanted:
        raise RejectedError(f"Name at least one scope of {', '.join(SCOPES)}.", code="required", field="scopes")
    key, text = ApiKey.make(name, wanted)
    key.expires_at = expires_at
    key.save(force_insert=True)
    audit(actor, "api_key_created", "api_key", key.prefix, {"scopes": wanted})
    return key, text


def api_key_revoke(prefix: str, *, actor: str, now: dt.datetime) -> bool:
    """Close a key for good; False when there is no live key with this prefix. Other processes follow within 5 s."""
    changed = ApiKey.objects.filter(prefix=prefix, revoked_at=None).update(revoked_at=now) == 1
    if changed:
        key_cache_clear()
        audit(actor, "api_key_revoked", "api_key", prefix)
    return changed


def api_key_mark_used(prefix: str, now: dt.datetime) -> None:
    """Note the last use, at most once a minute."""
    marked = _marked.get(prefix)
    if marked is not None and now - marked < USED_RESOLUTION:
        return
    _marked[prefix] = now
    ApiKey.objects.filter(prefix=prefix).exclude(last_used_at__gt=now - USED_RESOLUTION).update(last_used_at=now)


def heartbeat_record(process: str, now: dt.datetime) -> None:
    """Note that ``process`` (beat, worker) is alive."""
    Heartbeat.objects.update_or_create(process=process, defaults={"at": now})
