"""WHO the person is: collection, identity, profiles, consent."""

from cdp.celery import app as celery_app

__all__ = ["celery_app"]
