"""Addresses of the segments app: segments, audiences, connections, syncs."""

from django.urls import URLPattern, path

from segments.activation.api import (
    AudiencesView,
    AudienceSyncView,
    ConnectionResumeView,
    ConnectionsView,
    SyncsView,
    SyncView,
)
from segments.audiences.api import ExplainView, MembersView, PreviewView
from segments.definition.api import SegmentsView, SegmentView

urlpatterns: list[URLPattern] = [
    path("segments", SegmentsView.as_view(), name="segments"),
    path("segments/preview", PreviewView.as_view(), name="segments-preview"),
    path("segments/<slug:key>", SegmentView.as_view(), name="segment"),
    path("segments/<slug:key>/members", MembersView.as_view(), name="segment-members"),
    path("segments/<slug:key>/explain/<uuid:profile_id>", ExplainView.as_view(), name="segment-explain"),
    path("audiences", AudiencesView.as_view(), name="api-audiences"),
    path("audiences/<slug:key>/sync", AudienceSyncView.as_view(), name="api-audience-sync"),
    path("connections", ConnectionsView.as_view(), name="api-connections"),
    path("connections/<slug:key>/resume", ConnectionResumeView.as_view(), name="api-connection-resume"),
    path("syncs", SyncsView.as_view(), name="api-syncs"),
    path("syncs/<int:sync_no>", SyncView.as_view(), name="api-sync"),
]
