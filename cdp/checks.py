"""System checks: what would go wrong later is said at the start, with an id and the fix."""

import tempfile
import zoneinfo
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections

MINIMUM_POSTGRESQL = 150_000
UNSAFE_BROKERS = ("filesystem", "memory", "sqla", "sqlalchemy", "django")


def production_check(app_configs: object, **_: Any) -> list[CheckMessage]:
    """E001-E004, W001: what must not be so in production."""
    if not settings.PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(Error("Debug pages show settings and data.", hint="Unset CDP_DEBUG.", id="cdp.E001"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Error("Every host name is answered.", hint="Name your hosts in CDP_ALLOWED_HOSTS.", id="cdp.E002"))
    if not settings.CONFIG.database_url:
        hint = "Set DATABASE_URL: the private server is for demos and has no backup."
        found.append(Error("No database is configured.", hint=hint, id="cdp.E003"))
    if len(set(settings.CDP_ENCRYPTION_KEYS.values()) | {settings.CDP_INDEX_KEY, settings.SECRET_KEY}) < 3:
        hint = "Give CDP_SECRET_KEY, CDP_ENCRYPTION_KEYS and CDP_INDEX_KEY values of their own."
        found.append(Error("Two secrets are the same.", hint=hint, id="cdp.E004"))
    if not settings.CONFIG.cdp_https:
        hint = "Set CDP_HTTPS=true, and CDP_TRUSTED_PROXIES when a proxy ends TLS."
        found.append(Warning("Cookies and keys would travel without TLS.", hint=hint, id="cdp.W001"))
    return found


def time_zone_check(app_configs: object, **_: Any) -> list[CheckMessage]:
    """E005: the workspace's time zone exists."""
    if settings.TIME_ZONE in zoneinfo.available_timezones():
        return []
    hint = "Set CDP_TIME_ZONE to a name such as Europe/Berlin."
    return [Error(f"There is no time zone {settings.TIME_ZONE!r}.", hint=hint, id="cdp.E005")]


def data_folder_check(app_configs: object, **_: Any) -> list[CheckMessage]:
    """E006: files can be written."""
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.DATA_DIR):
            return []
    except OSError as error:
        hint = "Make it writable for this account, or set CDP_DATA_DIR."
        return [Error(f"The data folder cannot be written: {error.strerror}.", hint=hint, id="cdp.E006")]


def broker_check(app_configs: object, **_: Any) -> list[CheckMessage]:
    """E007: a broker that loses work when a worker is killed (measured) is refused."""
    scheme = settings.CELERY_BROKER_URL.partition(":")[0].partition("+")[0]
    if scheme not in UNSAFE_BROKERS:
        return []
    hint = "Leave CELERY_BROKER_URL empty, or use redis:// or amqp://."
    return [Error(f"The broker {scheme}:// loses messages of a killed worker.", hint=hint, id="cdp.E007")]


def database_check(app_configs: object, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """E008: PostgreSQL is new enough. Runs with ``check --database default`` and before ``migrate``."""
    if "default" not in (databases or ()):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int")
        version = cursor.fetchone()[0]
    if version >= MINIMUM_POSTGRESQL:
        return []
    hint = "PostgreSQL 15 or newer is needed."
    return [Error(f"The server is PostgreSQL {version // 10_000}.", hint=hint, id="cdp.E008")]


def checks_register() -> None:
    """Called once by the app's ``ready``."""
    plain: tuple[Callable[..., list[CheckMessage]], ...] = (time_zone_check, data_folder_check, broker_check)
    for function in plain:
        register(function)
    register(production_check, Tags.security)
    register(database_check, Tags.database)
