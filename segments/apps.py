"""Django's entry to the app."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    """WHAT WE DO about it."""

    name = "segments"
    verbose_name = "Segments"
