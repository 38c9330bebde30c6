"""What the server made of it: drains the inbox and tells of one source. Run as ``python -m tests.e2e.sdk.reader KEY …``.

With keys as arguments it makes those sources; afterwards each line on standard input names one, each line on standard output
answers.
"""

import json
import sys
from typing import Any

import django

django.setup()

from cdp.collect.models import Reject, Source  # noqa: E402 - after setup
from cdp.collect.services import inbox_drain  # noqa: E402
from cdp.core.time import utc_now  # noqa: E402
from cdp.events.models import Event, InboxEvent  # noqa: E402
from cdp.identity.selectors import identifier_values  # noqa: E402
from cdp.profiles.models import Profile  # noqa: E402


def source_make(text: str) -> None:
    """``key kind origin``; the key is the write key too."""
    key, kind, origin = text.split(",")
    Source.objects.create(key=key, title=key, kind=kind, write_key=key, allowed_origins=origin)


def tell(key: str) -> dict[str, Any]:
    """Events and people of one source, once nothing waits any more."""
    while (done := inbox_drain(2_000, utc_now())).taken + done.deferred:
        pass
    source_no = Source.objects.get(key=key).source_no
    events = list(Event.objects.filter(source_no=source_no).order_by("event_no"))
    people = sorted({event.profile_no for event in events})
    living = Profile.objects.filter(profile_no__in=people, merged_into_no=None)
    return {
        "waiting": InboxEvent.objects.filter(source_no=source_no).count(),
        "refused": [f"{r.code} {r.field} {r.reason}" for r in Reject.objects.filter(source_id=source_no)],
        "events": [
            {"id": e.message_id, "kind": e.kind, "name": e.name, "properties": json.loads(e.properties)} for e in events
        ],
        "people": [
            {
                "traits": profile.traits,
                "identifiers": sorted(
                    (kind, value)
                    for _, _, kind, value in identifier_values([profile.profile_no], ["user_id", "anonymous_id"])
                ),
            }
            for profile in living
        ],
    }


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        source_make(argument)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(tell(line.strip())) + "\n")
        sys.stdout.flush()
