"""Every address of the service. Names slices by string only."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("cdp.identity.urls")),  # first: the profile read is the busiest address beside collecting
    path("", include("cdp.access.urls")),
    path("", include("cdp.collect.urls")),
    path("api/v1/", include("segments.urls")),
    path("admin/", include("segments.page_urls")),
    path("admin/", admin.site.urls),
]

handler400 = "cdp.access.pages.bad_request"
handler403 = "cdp.access.pages.permission_denied"
handler404 = "cdp.access.pages.not_found"
handler500 = "cdp.access.pages.server_error"
