"""Wake-ups: everything stands on record, so a tick that is lost or doubled costs nothing but time."""

import datetime as dt
import time

from celery import shared_task

from cdp.core.time import utc_now
from segments.activation import services

TURN_SECONDS = 300.0
WORTH_WAITING_SECONDS = 3.0


@shared_task(name="segments.activation.tasks.audiences_sync_due")  # type: ignore[untyped-decorator]
def audiences_sync_due() -> None:
    """Give every list that has something to do a turn."""
    for target_no in services.targets_due(utc_now()):
        target_turn.delay(target_no)


@shared_task(name="segments.activation.tasks.target_turn")  # type: ignore[untyped-decorator]
def target_turn(target_no: int, *, plan: bool | None = None) -> None:
    """One turn at one list; waits along when the network asks for moments only, else the next tick goes on."""
    deadline = utc_now() + dt.timedelta(seconds=TURN_SECONDS)
    while True:
        turn = services.target_run(target_no, clock=utc_now, plan=plan, deadline=deadline)
        if turn.state != "waiting" or turn.wait_seconds is None or turn.wait_seconds > WORTH_WAITING_SECONDS:
            return
        if utc_now() >= deadline:
            return
        time.sleep(turn.wait_seconds)


@shared_task(name="segments.activation.tasks.removals_send")  # type: ignore[untyped-decorator]
def removals_send() -> None:
    """Opt-outs: read what consent and identity announced and send the removals, whatever a schedule or a stop says."""
    services.wishes_collect(utc_now())
    for target_no in services.opt_outs_waiting():
        target_turn(target_no, plan=False)


@shared_task(name="segments.activation.tasks.batches_poll")  # type: ignore[untyped-decorator]
def batches_poll() -> None:
    """Ask the networks what became of the batches they accepted."""
    services.batches_poll(utc_now())
