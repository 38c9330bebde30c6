"""The Celery application: a wake-up over rows that wait in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")

app = Celery("cdp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "cdp.access",
        "cdp.events",
        "cdp.profiles",
        "cdp.consent",
        "cdp.identity",
        "cdp.collect",
        "segments.computed_traits",
        "segments.definition",
        "segments.audiences",
        "segments.activation",
        "segments.measurement",
    ]
)
