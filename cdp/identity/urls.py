"""Addresses of profiles and consents."""

from django.urls import URLPattern, path, re_path

from cdp.identity import api
from cdp.identity.consent_api import ConsentsView

# A value may hold anything, slashes too; a last part that is called like a view is that view.
PROFILE = r"^profiles/(?P<type>[a-z][a-z0-9_]*):(?P<value>.+)"

urlpatterns: list[URLPattern] = [
    path("consents", ConsentsView.as_view(), name="consents"),
    path("profiles/lookup", api.lookup_view, name="profiles-lookup"),
    re_path(PROFILE + "/events$", api.profile_events_view, name="profile-events"),
    re_path(PROFILE + "/segments$", api.profile_segments_view, name="profile-segments"),
    re_path(PROFILE + "/consents$", api.profile_consents_view, name="profile-consents"),
    re_path(PROFILE + "/identifiers$", api.profile_identifiers_view, name="profile-identifiers"),
    re_path(PROFILE + "$", api.profile_view, name="profile"),
]
