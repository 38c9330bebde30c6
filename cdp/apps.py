"""Django's entry to the app; the system checks are registered here."""

from django.apps import AppConfig


class CdpConfig(AppConfig):
    """WHO the person is."""

    name = "cdp"
    verbose_name = "People"
