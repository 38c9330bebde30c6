"""Catalogue of events: names seen, and properties that rules can read."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from cdp.events.models import EventName, EventProperty


@admin.register(EventName)
class EventNameAdmin(ModelAdmin):  # type: ignore[misc]
    """Names come with the data; nothing is changed here."""

    list_display = ("name", "kind", "first_seen_at", "last_seen_at")
    list_filter = ("kind",)
    search_fields = ("name",)
    ordering = ("-last_seen_at",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: EventName | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: EventName | None = None) -> bool:
        return False


@admin.register(EventProperty)
class EventPropertyAdmin(ModelAdmin):  # type: ignore[misc]
    """A declared property becomes a typed column; its type stays."""

    list_display = ("title", "key", "value_type", "declared_at")
    fields = ("key", "title", "value_type")

    def get_readonly_fields(self, request: HttpRequest, obj: EventProperty | None = None) -> tuple[str, ...]:
        return ("key", "value_type") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: EventProperty | None = None) -> bool:
        return False
