"""Signs of life."""

from celery import shared_task
from celery.signals import before_task_publish

from cdp.access.services import heartbeat_record
from cdp.core.time import utc_now


@shared_task(name="cdp.access.tasks.heartbeat")  # type: ignore[untyped-decorator]
def heartbeat() -> None:
    """Running it shows that a worker takes messages."""
    heartbeat_record("worker", utc_now())


@before_task_publish.connect(sender="cdp.access.tasks.heartbeat")  # type: ignore[untyped-decorator]
def note_beat(**_: object) -> None:
    """Sending it shows that beat ticks. Celery has no hook for a tick of beat but this one, which runs in its process."""
    heartbeat_record("beat", utc_now())
