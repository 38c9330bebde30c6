"""Django's entry to the app; the system checks are registered here."""

from django.apps import AppConfig


class CdpConfig(AppConfig):
    """WHO the person is."""

    name = "cdp"
    verbose_name = "People"

    def ready(self) -> None:
        from cdp.checks import checks_register

        checks_register()
