"""Steps of a run that have no command of their own: ``python -m tests.kill.steps NAME ARGUMENT``."""

import datetime as dt
import sys

import django


def prepare(_: str) -> None:
    """A source with a known write key."""
    from cdp.collect.models import Source

    Source.objects.get_or_create(
        key="shop", defaults={"title": "Shop", "kind": "server", "write_key": "kill-rounds-key"}
    )


def seed(sandbox_address: str) -> None:
    """Example segments, connections at the sandbox, audiences without a holdout.

    Holdout and sample follow the random profile id, so two runs would differ; they have tests of their own.
    """
    from cdp.core.time import utc_now
    from segments.activation.services import sandbox_connections_ensure
    from segments.audiences.services import segments_seed_examples

    segments_seed_examples(now=utc_now())
    sandbox_connections_ensure(sandbox_address, holdout_share=0)


def drain(as_of: str) -> None:
    """Everything that waits in the inbox becomes events, traits, orders and consents."""
    from cdp.collect.services import inbox_drain

    while inbox_drain(500, dt.datetime.fromisoformat(as_of)).taken:
        pass


def flush(as_of: str) -> None:
    """The tail becomes files."""
    from cdp.events.flush import events_flush

    events_flush(dt.datetime.fromisoformat(as_of))


def compact(as_of: str) -> None:
    """Files of every month by bucket, whatever month it is."""
    from cdp.events.services import store_compact

    store_compact(dt.datetime.fromisoformat(as_of), only_closed=False)


def segment(as_of: str) -> None:
    """Everybody's memberships as of the run's moment, as the command counts them: rounds may cross a midnight."""
    from segments.audiences.services import memberships_follow, segment_evaluate, segments_in_order

    moment = dt.datetime.fromisoformat(as_of)
    memberships_follow(moment)
    for each in segments_in_order():
        done = segment_evaluate(each.segment_no, moment)
        if done.state != "ready":
            sys.exit(f"{each.key}: {done.state} {done.error}")


if __name__ == "__main__":
    django.setup()
    globals()[sys.argv[1]](sys.argv[2])
