"""Addresses of health, metrics and the API's documents."""

from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from cdp.access import pages, schema

__all__ = ["schema", "urlpatterns"]  # importing ``schema`` registers the key scheme with spectacular

urlpatterns: list[URLPattern] = [
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
    path("metrics", pages.metrics_page, name="metrics"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
