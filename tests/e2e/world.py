"""A workspace for the browser, filled by the public ways: a tenth of CDNOW's people through the importer, computed,
segmented and synced to the sandbox. Run as ``python -m tests.e2e.world FOLDER SANDBOX_URL``; writes the ids as JSON.
"""

import datetime as dt
import json
import sys
import time
from pathlib import Path

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - after setup

from cdp.collect.services import import_plan, import_run  # noqa: E402
from cdp.core.time import utc_now  # noqa: E402
from cdp.identity.services import profiles_merge  # noqa: E402
from cdp.profiles.models import Profile  # noqa: E402
from segments.activation.models import AudienceTarget, Sync  # noqa: E402
from segments.activation.services import batches_poll, sandbox_connections_ensure, target_run  # noqa: E402
from segments.audiences.models import Membership  # noqa: E402
from segments.audiences.services import segments_evaluate_due, segments_seed_examples  # noqa: E402
from segments.computed_traits.models import ModelRun  # noqa: E402
from segments.computed_traits.services import as_of_default, traits_compute  # noqa: E402
from segments.definition.models import Segment  # noqa: E402
from segments.demo.loading import FILES, days_of, sources_ensure  # noqa: E402
from segments.demo.people import consents_write, people_invent, profiles_write  # noqa: E402
from segments.demo.purchases import LAST_DAY, cdnow_path, days_moved, orders_write, purchases_read  # noqa: E402
from segments.demo.visits import visits_write  # noqa: E402

USERNAME, PASSWORD = "mira", "browser-story-1"
READER = "reader"


def files_write(folder: Path, today: dt.date) -> None:
    """The demo's files for every tenth person."""
    folder.mkdir(parents=True, exist_ok=True)
    moved = days_moved(today)
    purchases = [p for p in purchases_read(cdnow_path()) if int(p.person) % 10 == 1]
    first, last = days_of(purchases, moved)
    people = people_invent(first, 1)
    orders_write(iter(purchases), folder / "orders.csv", moved)
    profiles_write(people, folder / "profiles.csv")
    consents_write(people, folder / "consents.csv", 2)
    visits_write(last, folder / "visits.jsonl", LAST_DAY + dt.timedelta(days=moved + 1), 3)


def staff_make() -> None:
    """One who may everything, one who may log in and nothing else."""
    users = get_user_model().objects
    users.create_superuser(USERNAME, "", PASSWORD, first_name="Mira", last_name="Kaur")
    users.create_user(READER, "", PASSWORD, is_staff=True)


def world_make(folder: Path, sandbox_url: str) -> dict[str, object]:
    """Everything, and the ids by which the pages are opened."""
    now = utc_now()
    files_write(folder, now.date())
    sources_ensure()
    for file in FILES:
        import_run(import_plan(folder / file.name, file.kind), file.source, utc_now())
    traits_compute(as_of_default(now), now=now)
    segments_seed_examples(now=now)
    segments_evaluate_due(utc_now())
    targets = sandbox_connections_ensure(sandbox_url)
    sync_to_the_end([target.target_no for target in targets])
    winner, loser = Profile.objects.order_by("-profile_no").values_list("profile_no", flat=True)[:2]
    profiles_merge(winner, loser, "asked for by phone", "mira", utc_now())
    stopped = stop_one(targets[-1])
    member = Membership.objects.filter(segment_no=Segment.objects.get(key="champions").segment_no).latest("entered_at")
    return {
        "person": str(Profile.objects.get(profile_no=member.profile_no).profile_id),
        "target": targets[0].target_no,
        "stopped_target": targets[-1].target_no,
        "sync": Sync.objects.filter(state="sent").latest("sync_no").sync_no,
        "stopped_sync": stopped,
        "runs": dict(ModelRun.objects.values_list("group", "run_no")),
    }


def sync_to_the_end(target_nos: list[int]) -> None:
    """Until every list is confirmed."""
    for target_no in target_nos:
        target_run(target_no, clock=utc_now, plan=True)
    deadline = time.monotonic() + 60
    while Sync.objects.filter(state__in=["sending", "confirming"]).exists() and time.monotonic() < deadline:
        batches_poll(utc_now())
        for target_no in target_nos:
            target_run(target_no, clock=utc_now, plan=False)
        time.sleep(0.5)


def stop_one(target: AudienceTarget) -> int:
    """Narrow one segment so far that its next run stops."""
    from segments.definition.services import segment_save

    segment = target.audience.segment
    row = {"type": "trait", "trait": "rfm.orders_days", "operator": "at_least", "value": 4}
    assert segment.current_version is not None
    where = segment.current_version.definition["where"]
    narrowed = {"version": 1, "where": {"type": "all", "conditions": [where, row]}}
    segment_save(segment.key, segment.title, narrowed, None, "Only regulars", now=utc_now())
    segments_evaluate_due(utc_now())
    target_run(target.target_no, clock=utc_now, plan=True)
    return Sync.objects.filter(target=target, state="stopped").latest("sync_no").sync_no


if __name__ == "__main__":
    staff_make()
    ids = world_make(Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 2 else {}
    sys.stdout.write(json.dumps(ids) + "\n")
