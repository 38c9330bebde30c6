"""Addresses of the segments app: segments, audiences, connections, syncs."""

from django.urls import URLPattern, path

from segments.audiences.api import ExplainView, MembersView, PreviewView
from segments.definition.api import SegmentsView, SegmentView

urlpatterns: list[URLPattern] = [
    path("segments", SegmentsView.as_view(), name="segments"),
    path("segments/preview", PreviewView.as_view(), name="segments-preview"),
    path("segments/<slug:key>", SegmentView.as_view(), name="segment"),
    path("segments/<slug:key>/members", MembersView.as_view(), name="segment-members"),
    path("segments/<slug:key>/explain/<uuid:profile_id>", ExplainView.as_view(), name="segment-explain"),
]
