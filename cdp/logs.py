"""Structured log lines that carry ids and counts, never a person's data.

The redacting processor is the last wall, not the first: code does not log identifiers, traits, hashes, tokens or bodies.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

EMAIL = re.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9.\-]+\.[A-Za-z]{2,}")
DIGEST = re.compile(r"\b[0-9a-fA-F]{64}\b")
PHONE = re.compile(r"(?<![\w.:\-])\+?\(?\d(?:[ ().\-/]{0,2}\d){9,14}(?![\w.:\-])")
BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}")
# PostgreSQL quotes the row behind a violated constraint: "Key (name)=(value) already exists", "Failing row contains (…)".
ROW_DETAIL = re.compile(r"(?<=DETAIL:)[^\n]+")
SENSITIVE_KEYS = {
    "authorization",
    "token",
    "secret",
    "password",
    "api_key",
    "write_key",
    "email",
    "phone",
    "body",
    "value",
    "traits",
}
SENSITIVE_ENDINGS = ("_token", "_secret", "_password", "_email", "_phone", "_value")
UNTOUCHED_KEYS = {"timestamp", "level", "logger"}
PLACEHOLDER = "[redacted]"


def redact_text(text: str) -> str:
    """``text`` without addresses, phone numbers, SHA-256 digests, credentials and quoted rows."""
    for pattern in (BEARER, EMAIL, DIGEST, PHONE):
        text = pattern.sub(PLACEHOLDER, text)
    return ROW_DETAIL.sub(f" {PLACEHOLDER}", text)


def redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: blank sensitive keys, scrub every text, also inside lists, mappings and exceptions."""
    for key, value in event.items():
        if key not in UNTOUCHED_KEYS and not key.startswith("_"):  # underscored: the formatter's own
            event[key] = _scrubbed(key, value)
    if event.get("logger") == "django.request":  # "Internal Server Error: /path", and a path may hold an id
        event["event"] = str(event["event"]).partition(": /")[0]
    return event


def _scrubbed(key: object, value: object) -> object:
    name = str(key).lower()
    if name in SENSITIVE_KEYS or name.endswith(SENSITIVE_ENDINGS):
        return PLACEHOLDER
    match value:
        case str():
            return redact_text(value)
        case Mapping():
            return {inner: _scrubbed(inner, item) for inner, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrubbed("", item) for item in value]
        case bytes() | BaseException():
            return redact_text(repr(value))
        case _:
            return value


def logging_config(log_format: str, level: str) -> dict[str, Any]:
    """A ``dictConfig`` that sends structlog and standard-library records through the same processors."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "django.server": {"level": "WARNING"},
            # 4xx are logged by cdp.access.middleware, with the route instead of the path.
            "django.request": {"level": "ERROR"},
        },
    }
