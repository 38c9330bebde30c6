"""Django's entry to the app; the system checks are registered here."""

from django.apps import AppConfig


class CdpConfig(AppConfig):
    """WHO the person is."""

    name = "cdp"
    verbose_name = "People"

    def ready(self) -> None:
        from cdp.checks import checks_register
        from cdp.collect.gauges import gauges_register
        from cdp.consent.snapshot_columns import consent_columns_register
        from cdp.identity.snapshot_columns import identity_columns_register

        checks_register()
        gauges_register()
        consent_columns_register()
        identity_columns_register()
