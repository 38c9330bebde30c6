"""System checks: each wrong setting is named with its id, and a right set-up is silent."""

from pathlib import Path
from typing import Any

import pytest

from cdp.checks import broker_check, data_folder_check, production_check, time_zone_check
from cdp.config import load_config

SECRETS = {"SECRET_KEY": "a" * 40, "CDP_INDEX_KEY": "b" * 40, "CDP_ENCRYPTION_KEYS": {1: "c" * 40}}


def production(settings: Any, **changes: Any) -> list[str]:
    environment = {"DATABASE_URL": "postgresql://db/cdp", "CDP_HTTPS": "true", **changes.pop("environment", {})}
    values = {"PRODUCTION": True, "DEBUG": False, "ALLOWED_HOSTS": ["cdp.example.com"], **SECRETS, **changes}
    for name, value in values.items():
        setattr(settings, name, value)
    settings.CONFIG = load_config(environment)
    return [str(message.id) for message in production_check(None)]


def test_a_right_production_is_silent(settings: Any) -> None:
    assert production(settings) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"DEBUG": True}, "cdp.E001"),
        ({"ALLOWED_HOSTS": ["*"]}, "cdp.E002"),
        ({"environment": {"DATABASE_URL": ""}}, "cdp.E003"),
        ({"CDP_INDEX_KEY": "a" * 40}, "cdp.E004"),
        ({"environment": {"CDP_HTTPS": "false"}}, "cdp.W001"),
    ],
)
def test_each_fault_has_its_id(settings: Any, changes: dict[str, Any], found: str) -> None:
    assert production(settings, **changes) == [found]


def test_development_is_left_alone(settings: Any) -> None:
    assert production(settings, PRODUCTION=False, DEBUG=True) == []


def test_time_zone(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Atlantis"
    assert [m.id for m in time_zone_check(None)] == ["cdp.E005"]


def test_data_folder(settings: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    settings.DATA_DIR = blocked / "data"
    assert [m.id for m in data_folder_check(None)] == ["cdp.E006"]
    settings.DATA_DIR = tmp_path / "data"
    assert data_folder_check(None) == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("filesystem://", ["cdp.E007"]),
        ("sqla+postgresql://x/y", ["cdp.E007"]),
        ("pgmq://x/y", []),
        ("redis://x/0", []),
        ("amqp://x//", []),
    ],
)
def test_brokers_that_lose_work_are_refused(settings: Any, url: str, found: list[str]) -> None:
    settings.CELERY_BROKER_URL = url
    assert [m.id for m in broker_check(None)] == found
