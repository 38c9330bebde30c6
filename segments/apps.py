"""Django's entry to the app."""

from django.apps import AppConfig


class SegmentsConfig(AppConfig):
    """WHAT WE DO about it."""

    name = "segments"
    verbose_name = "Segments"

    def ready(self) -> None:
        from cdp.events.outbox import outbox_subscribe
        from cdp.profiles.sections import section_register
        from segments.audiences.following import PEOPLE_TOPICS, SUBSCRIBER
        from segments.audiences.selectors import SEGMENTS_SECTION

        section_register(SEGMENTS_SECTION)
        for topic in PEOPLE_TOPICS:
            outbox_subscribe(topic, SUBSCRIBER)
