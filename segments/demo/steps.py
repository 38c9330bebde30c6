"""The demo's way from purchases to a synced audience, step by step, through the same services as any workspace.

Each step looks into the database for what is done, so that a second start changes nothing and a killed one goes on.
"""

import datetime as dt
import secrets
import time
from pathlib import Path

from django.contrib.auth import get_user_model

from cdp.collect.models import ImportRun
from cdp.core.time import utc_now
from cdp.events.services import events_flush
from segments.activation.models import AudienceTarget, Sync
from segments.activation.services import batches_poll, sandbox_connections_ensure, target_run
from segments.audiences.services import (
    memberships_follow,
    segment_evaluate,
    segments_in_order,
    segments_seed_examples,
)
from segments.computed_traits.models import ModelRun
from segments.computed_traits.services import traits_compute_due

LOGIN = "demo"
SYNC_SECONDS = 60.0
GOOD_ENDS, BAD_ENDS = ("sent", "no_change"), ("stopped", "partial", "failed", "cancelled")


class DemoError(Exception):
    """A step did not end as it should; the message says which and what to look at."""


def events_to_files(now: dt.datetime) -> str:
    """Move what the importer stored from the recent window into Parquet files."""
    flushed = events_flush(now)
    return f"{flushed.rows:,} events to files" if flushed.rows else "all events are in files"


def traits_step(now: dt.datetime) -> str:
    """RFM, predicted value, groups and intent, as of the last midnight."""
    runs = traits_compute_due(now)
    if any(run.state == "failed" for run in runs):
        raise DemoError("Computing traits failed; the reason stands in the admin under Models.")
    count = len(runs) or ModelRun.objects.filter(state="published").values("group").distinct().count()
    return f"{count} groups of traits" + ("" if runs else ", computed before")


def segments_step(now: dt.datetime) -> str:
    """Save the example segments and count those that are older than what they are made of."""
    segments_seed_examples(now=now, actor=LOGIN)
    memberships_follow(now)
    fresh_since = newest_input_at()
    counted = 0
    for segment in segments_in_order():
        if segment.state == "ready" and segment.evaluated_at and fresh_since and segment.evaluated_at >= fresh_since:
            continue
        done = segment_evaluate(segment.segment_no, utc_now())
        if done.state != "ready":
            raise DemoError(f"The segment {segment.key} could not be counted: {done.error or done.state}.")
        counted += 1
    return f"{counted} segments counted" if counted else "segments were counted before"


def newest_input_at() -> dt.datetime | None:
    """When the last import or model run ended."""
    times = [
        *ImportRun.objects.filter(state="done").values_list("finished_at", flat=True),
        *ModelRun.objects.exclude(finished_at=None).values_list("finished_at", flat=True),
    ]
    return max((at for at in times if at), default=None)


def audiences_ensure(sandbox_url: str) -> list[AudienceTarget]:
    """The demo's audiences with a target at each of their networks, at the sandbox's present address."""
    sandbox_connections_ensure(sandbox_url, actor=LOGIN)
    mine = AudienceTarget.objects.filter(connection__is_sandbox=True, is_enabled=True)
    return list(mine.select_related("audience", "connection").order_by("target_no"))


def sync_step(target: AudienceTarget) -> Sync:
    """Plan a run now and see it through to the network's acknowledgement. Raises DemoError when it does not get there."""
    deadline = time.monotonic() + SYNC_SECONDS
    sync_no: int | None = None
    while time.monotonic() < deadline:
        turn = target_run(target.target_no, clock=utc_now, plan=sync_no is None)
        sync_no = sync_no or turn.sync_no
        if turn.state == "paused":
            target.connection.refresh_from_db()
            raise DemoError(f"{target} is paused: {target.connection.paused_reason}")
        if sync_no is not None:
            batches_poll(utc_now(), target_no=target.target_no)
            sync = Sync.objects.get(pk=sync_no)
            if sync.state in GOOD_ENDS:
                return sync
            if sync.state in BAD_ENDS:
                raise DemoError(f"{target} {sync.state}: {sync.reason}")
        time.sleep(min(turn.wait_seconds or 0.1, 1.0))
    raise DemoError(f"{target}: the sandbox did not acknowledge within {SYNC_SECONDS:.0f} s.")


def login_ensure(path: Path) -> None:
    """The staff person `demo`, with a password that only this file holds."""
    people = get_user_model().objects
    if path.exists() and people.filter(username=LOGIN).exists():
        return
    password = secrets.token_urlsafe(12)
    person, _ = people.get_or_create(username=LOGIN, defaults={"is_staff": True, "is_superuser": True})
    person.set_password(password)
    person.save()
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(f"{LOGIN} / {password}\n", encoding="utf-8")
    draft.replace(path)
