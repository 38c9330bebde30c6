"""A sender as a process of its own, to be killed: ``python -m tests.activation_process TARGET_NO BATCH_PEOPLE``.

Works like a worker with beat: turns and polls until everything is confirmed, then says so with exit code 0.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent


def sender_start(target_no: int, batch_people: int) -> "subprocess.Popen[bytes]":
    """Start it on this test's database, with this test's keys."""
    from tests.addresses import database_url

    return subprocess.Popen(
        [sys.executable, "-m", "tests.activation_process", str(target_no), str(batch_people)],
        cwd=ROOT,
        env=os.environ
        | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "cdp.settings", "CDP_LOG_LEVEL": "ERROR"},
    )


def main(target_no: int, batch_people: int) -> None:
    from cdp.core.time import utc_now
    from segments.activation.models import SentEntry
    from segments.activation.selectors import is_settled
    from segments.activation.services import batches_poll, target_run, wishes_collect
    from tests.activation_world import FAST

    policy = replace(FAST, batch_people=batch_people, answer_seconds=3.0)
    plan = True
    while True:
        wishes_collect(utc_now())
        turn = target_run(target_no, clock=utc_now, plan=plan, policy=policy)
        plan = plan and turn.sync_no is None
        batches_poll(utc_now(), target_no=target_no, policy=policy)
        waiting = SentEntry.objects.filter(target_no=target_no, wanted=False).exists()
        if turn.state == "done" and is_settled([target_no]) and not waiting:
            return
        time.sleep(min(turn.wait_seconds or 0.02, 0.2))


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]))
