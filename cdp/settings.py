"""Django settings, derived from ``cdp.config``. Names slices by string only."""

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP
from pydantic import ValidationError

from cdp.config import BASE_DIR, load_config
from cdp.logs import logging_config

try:
    CONFIG = load_config()
except ValidationError as error:
    lines = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
    raise ImproperlyConfigured("Settings that need a look: " + "; ".join(lines)) from None

PRODUCTION = CONFIG.cdp_env == "production"
DATA_DIR: Path = CONFIG.cdp_data_dir
DEBUG = CONFIG.cdp_debug


def local_secret(name: str) -> str:
    """A secret of this checkout, made once and kept under the data folder with mode 600 (development and demo only)."""
    path = DATA_DIR / "keys" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
        draft.chmod(0o600)
        try:
            os.link(draft, path)  # never replaces: of two processes that start together one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def required(value: str, name: str) -> str:
    if value:
        return value
    if PRODUCTION:
        raise ImproperlyConfigured(
            f"{name.upper()} is empty. Set it (or {name.upper()}_FILE) before starting in production."
        )
    return local_secret(name)


SECRET_KEY = required(CONFIG.cdp_secret_key, "cdp_secret_key")
CDP_ENCRYPTION_KEYS = CONFIG.cdp_encryption_keys or {1: required("", "cdp_encryption_keys")}
CDP_INDEX_KEY = required(CONFIG.cdp_index_key, "cdp_index_key")
ALLOWED_HOSTS = [h.strip() for h in CONFIG.cdp_allowed_hosts.split(",") if h.strip()]
CSRF_TRUSTED_ORIGINS = [o.strip() for o in CONFIG.cdp_csrf_trusted_origins.split(",") if o.strip()]

INSTALLED_APPS = [
    "cdp.apps.CdpConfig",  # before unfold: its static files take the place of Unfold's
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "segments.apps.SegmentsConfig",
]
MIDDLEWARE = [
    "cdp.access.middleware.request_context",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cdp.access.page_middleware.PagePolicy",
    "cdp.access.page_middleware.PageSession",
    "cdp.access.page_middleware.HostNames",
    "cdp.access.page_middleware.PageCsrf",
    "cdp.access.page_middleware.PageLogin",
    "cdp.access.page_middleware.PageMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "cdp.urls"
WSGI_APPLICATION = "cdp.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "cdp" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def database_from_url(url: str) -> dict[str, object]:
    """A ``DATABASES`` entry from ``postgresql://user:password@host:port/name?host=/socket``. PostgreSQL only."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(
            "DATABASE_URL: only postgresql:// is supported, since consent and identity rely on PostgreSQL."
        )
    query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "postgres",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", unquote(parts.hostname or "")),
        "PORT": str(parts.port or query.pop("port", "")),
        "OPTIONS": dict(query),
        "TEST": {"NAME": os.environ.get("CDP_TEST_DATABASE_NAME", "test_cdp")},
    }


def resolved_database_url() -> str:
    """``DATABASE_URL``, or the address that the private server (``cdp.local_postgres``) wrote into the data folder."""
    if CONFIG.database_url:
        return CONFIG.database_url
    address = DATA_DIR / "postgres.url"
    if address.exists():
        return address.read_text(encoding="utf-8").strip()
    if PRODUCTION:
        raise ImproperlyConfigured(
            "DATABASE_URL is empty. Set it (or DATABASE_URL_FILE) before starting in production."
        )
    return "postgresql://postgres@127.0.0.1:5432/cdp"


DATABASE_URL = resolved_database_url()
DATABASES = {"default": database_from_url(DATABASE_URL)}
# Web processes pool; commands, workers and tests hold one plain connection a thread.
if os.environ.get("CDP_DATABASE_POOL") == "1":
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": CONFIG.database_pool_size, "timeout": 10}  # type: ignore[index]
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LANGUAGE_CODE = "en"
TIME_ZONE = CONFIG.cdp_time_zone
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static_collected" if PRODUCTION else None  # elsewhere files are served from where they are
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR / "files")},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
CDP_EVENT_STORAGE_URL = CONFIG.cdp_event_storage_url or (DATA_DIR / "events").as_uri()

# Strict scripts: own files and nonces only. Styles allow inline, since Unfold sets them (reference: ecosystem §2, policy B).
_policy = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.SELF],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
SECURE_CSP = {} if CONFIG.cdp_csp_report_only else _policy
SECURE_CSP_REPORT_ONLY = _policy if CONFIG.cdp_csp_report_only else {}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.cdp_https
SECURE_SSL_REDIRECT = CONFIG.cdp_https
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked on this machine, behind whatever ends TLS
SECURE_HSTS_SECONDS = 31_536_000 if CONFIG.cdp_https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False  # would bind the owner's whole domain, not only this host
if CONFIG.cdp_trusted_proxies:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["cdp.access.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["cdp.access.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "cdp.access.exceptions.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Audience service",
    "DESCRIPTION": "Profiles with consent, segments, audiences and their syncs.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "cdp.access.schema.errors_declare",
    ],
}


def pgmq_broker_url(database_url: str) -> str:
    """The database as a Celery broker: the same address under ``pgmq://``."""
    parts = urlsplit(database_url)
    query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
    host = parts.hostname or ""
    credentials = quote(unquote(parts.username or "postgres"))
    if parts.password:
        credentials += ":" + quote(unquote(parts.password), safe="")
    if socket := query.get("host"):
        host = quote(socket, safe="")
    return f"pgmq://{credentials}@{host}:{parts.port or 5432}{parts.path}"


CELERY_BROKER_URL = CONFIG.celery_broker_url or pgmq_broker_url(DATABASE_URL)
# Measured on 2 cores: 37 ms from publishing to the start of a task on an idle worker (the default second between polls: 250 ms).
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {
        **(
            {} if CONFIG.celery_broker_url else {"conn_string": DATABASE_URL}
        ),  # with its TLS options, which the URL loses
        "init_extension": False,
        "visibility_timeout": 900,
        "wait_time_seconds": 1,
        "poll_interval_ms": 50,
        "polling_interval": 0.05,
    }
    if CELERY_BROKER_URL.startswith("pgmq")
    else {"visibility_timeout": 900, "unacked_restore_throttle": 1}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 840  # below the visibility time-out, so that no message is delivered again while its task runs
CELERY_TASK_SOFT_TIME_LIMIT = 780
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False  # its broadcast queue would be polled in turn with the work
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory: the schedule is static, and a file could be torn by a kill


def tick(task: str, seconds: float) -> dict[str, object]:
    """One row of the schedule. A tick that waited for a worker longer than a minute is dropped: the next ones do its work."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(60.0, seconds)}}


# Ticks only: each claims rows that are due, so a tick too many costs nothing.
CELERY_BEAT_SCHEDULE = {
    "heartbeat": tick("cdp.access.tasks.heartbeat", 10.0),
    "inbox": tick("cdp.collect.tasks.inbox_drain", 1.0),
    "rejects": tick("cdp.collect.tasks.rejects_sweep", 3600.0),
    "flush": tick("cdp.events.tasks.events_flush", 30.0),
    "store-upkeep": tick("cdp.events.tasks.store_upkeep", 300.0),
    "profiles": tick("cdp.profiles.tasks.profiles_upkeep", 60.0),
    "consents": tick("cdp.consent.tasks.consents_expire", 60.0),
    "segments": tick("segments.audiences.tasks.segments_evaluate_due", 15.0),
    "memberships": tick("segments.audiences.tasks.memberships_follow", 5.0),
    "audiences": tick("segments.activation.tasks.audiences_sync_due", 15.0),
    "removals": tick("segments.activation.tasks.removals_send", 5.0),
    "acknowledgements": tick("segments.activation.tasks.batches_poll", 10.0),
    "computed-traits": tick("segments.computed_traits.tasks.traits_compute_due", 300.0),
}

LOGGING = logging_config(CONFIG.cdp_log_format, CONFIG.cdp_log_level)
LOGIN_URL = "admin:login"
TESTING = "pytest" in sys.modules
from cdp.unfold import UNFOLD  # noqa: E402, F401 - menu, colours and words of the admin, apart for their length
