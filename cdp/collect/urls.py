"""Addresses of the tracking API, each with and without a trailing slash, so that nothing ever redirects."""

from django.urls import URLPattern, path

from cdp.collect import client_settings
from cdp.collect.api import collect_view

SINGLE = {
    "track": "track",
    "t": "track",
    "identify": "identify",
    "i": "identify",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "group": "group",
    "g": "group",
    "alias": "alias",
    "a": "alias",
}
BATCH = ("v1/batch", "v1/b", "v1/import", "beacon/v1/batch")

urlpatterns: list[URLPattern] = []
for address, kind in [
    *((address, None) for address in BATCH),
    *((f"v1/{word}", kind) for word, kind in SINGLE.items()),
]:
    view = collect_view(kind)
    urlpatterns += [path(address, view), path(f"{address}/", view)]
for slash in ("", "/"):
    urlpatterns += [
        path(f"v1/projects/<str:write_key>/settings{slash}", client_settings.project_settings),
        path(f"sourceConfig{slash}", client_settings.source_config),
    ]
