"""The trait catalogue: titles, units, what is masked, what rules can read."""

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from cdp.profiles.models import Trait


@admin.register(Trait)
class TraitAdmin(ModelAdmin):  # type: ignore[misc]
    """Traits enter the catalogue with the data; here they get words, and a typed column when rules are to read them."""

    list_display = ("title", "key", "value_type", "unit", "is_computed", "is_declared", "is_personal")
    list_filter = ("is_computed", "is_declared", "is_personal", "value_type")
    search_fields = ("key", "title")
    ordering = ("is_computed", "key")
    fields = ("title", "key", "value_type", "unit", "description", "is_declared", "is_personal", "is_computed")

    def get_readonly_fields(self, request: HttpRequest, obj: Trait | None = None) -> tuple[str, ...]:
        always = ("key", "value_type", "is_computed")
        return (*always, "unit", "is_declared", "is_personal") if obj is not None and obj.is_computed else always

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Trait | None = None) -> bool:
        return False
