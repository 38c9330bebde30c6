"""Factories of the collect tests: sources, bodies, requests."""

import base64
import gzip
import json
from typing import Any

from django.test import Client

from cdp.collect.models import Source
from cdp.collect.selectors import sources_forget

ORIGIN = "https://shop.example"


def source_make(**overrides: Any) -> Source:
    values = {
        "key": "shop",
        "title": "Shop",
        "kind": "web",
        "write_key": "wk-shop",
        "allowed_origins": ORIGIN,
    } | overrides
    source = Source.objects.create(**values)
    sources_forget()
    return source


def track_make(**overrides: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": "m-1",
        "userId": "u-1",
        "event": "Product Viewed",
        "timestamp": "2026-11-23T10:00:00Z",
        "properties": {"category": "shoes"},
    } | overrides


def untyped(**overrides: Any) -> dict[str, Any]:
    """A track call for an address that says the kind."""
    return {key: value for key, value in track_make(**overrides).items() if key != "type"}


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


def post(
    client: Client,
    body: Any,
    *,
    path: str = "/v1/batch",
    key: str | None = "wk-shop",
    content_type: str = "application/json",
    packed: bool = False,
    **headers: str,
) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["Authorization"] = basic(key)
    if packed:
        data = gzip.compress(data)
        sent["Content-Encoding"] = "gzip"
    return client.post(path, data=data, content_type=content_type, headers=sent)
