"""Purposes: what people are asked for."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from cdp.consent.models import Purpose


@admin.register(Purpose)
class PurposeAdmin(ModelAdmin):  # type: ignore[misc]
    """A purpose is never deleted, since consents speak of it; its key never changes."""

    list_display = ("title", "key", "description", "position", "expires_after_days")
    fields = ("key", "title", "description", "position", "expires_after_days")

    def get_readonly_fields(self, request: HttpRequest, obj: Purpose | None = None) -> tuple[str, ...]:
        return ("key",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Purpose | None = None) -> bool:
        return False
