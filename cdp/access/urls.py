"""Addresses of health, metrics and the API's documents."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
