"""Identifier types: strength, limits and values that join nobody."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from cdp.identity.models import IdentifierType


@admin.register(IdentifierType)
class IdentifierTypeAdmin(ModelAdmin):  # type: ignore[misc]
    """Types are made by migrations, since the matching knows them; their limits are rules that people set."""

    list_display = ("title", "key", "priority", "is_known", "is_unique", "max_per_profile", "max_profiles")
    fields = (
        "title",
        "key",
        "normaliser",
        "priority",
        "is_known",
        "is_unique",
        "max_per_profile",
        "max_profiles",
        "blocked_values",
    )
    readonly_fields = ("key", "normaliser", "priority", "is_known", "is_unique")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: IdentifierType | None = None) -> bool:
        return False
