"""Addresses of the segments app: segments, audiences, connections, syncs."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
