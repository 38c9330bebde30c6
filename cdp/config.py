"""Every variable the service reads, typed, with its default and what it is for.

Secrets may come from a file: ``CDP_SECRET_KEY_FILE=/run/secrets/key`` stands for ``CDP_SECRET_KEY``.
docs/settings.md is generated from this class (``manage.py settings_table``).
"""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent


def read_file_secrets(environment: dict[str, str]) -> dict[str, str]:
    """Values of every ``NAME_FILE`` variable whose ``NAME`` is ours and unset. Raises OSError when a file is missing."""
    known = {name.upper() for name in Config.model_fields}
    found: dict[str, str] = {}
    for name, path in environment.items():
        plain = name.removesuffix("_FILE")
        if name.endswith("_FILE") and plain in known and plain not in environment:
            found[plain] = Path(path).read_text(encoding="utf-8").strip()
    return found


class Config(BaseSettings):
    """Typed settings; a wrong value stops the start with the variable's name."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", case_sensitive=False)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``load_config`` hands over: it knows about files, and reads an empty variable as an unset one."""
        return (init_settings,)

    cdp_env: str = Field(
        "development", pattern="^(development|test|production)$", description="Which set of safety checks applies."
    )
    cdp_debug: bool = Field(False, description="Django's debug pages. Never in production.")
    cdp_secret_key: str = Field(
        "",
        description="Signs sessions and links. Required in production; made and kept under the data folder otherwise.",
    )
    cdp_encryption_keys: Annotated[dict[int, str], NoDecode] = Field(
        default_factory=dict,
        description="Field encryption keys as `1:secret,2:secret`; the highest id writes, all read.",
    )
    cdp_index_key: str = Field("", description="Key of the blind index. Changing it makes every identifier unfindable.")
    cdp_allowed_hosts: str = Field(
        "localhost,127.0.0.1,[::1]", description="Host names the web server answers to, comma-separated."
    )
    cdp_csrf_trusted_origins: str = Field("", description="Origins (with scheme) that may post forms, comma-separated.")
    cdp_trusted_proxies: int = Field(0, ge=0, le=5, description="How many proxies in front set X-Forwarded-For.")
    cdp_https: bool = Field(False, description="Served over HTTPS: secure cookies, HSTS, redirect.")
    cdp_data_dir: Path = Field(
        BASE_DIR / ".data", description="Where files live: private PostgreSQL, event store, keys, exports."
    )
    cdp_time_zone: str = Field("UTC", description="The workspace's time zone: where a day begins in rules and reports.")
    cdp_currency: str = Field(
        "USD", min_length=3, max_length=3, description="Currency of orders that name none, and of reports."
    )
    cdp_phone_region: str = Field(
        "",
        pattern="^([A-Z]{2})?$",
        description="Country (ISO, e.g. FR) of phone numbers written without `+`; empty refuses them.",
    )
    cdp_demo: bool = Field(False, description="Marks every page as demo data.")
    cdp_csp_report_only: bool = Field(False, description="Report content-security violations instead of blocking them.")
    cdp_log_format: str = Field(
        "console", pattern="^(console|json)$", description="Log lines for people or for machines."
    )
    cdp_log_level: str = Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level that is written."
    )
    cdp_event_storage_url: str = Field(
        "", description="`s3://bucket/prefix` for the event store; empty means the data folder."
    )
    cdp_s3_endpoint_url: str = Field("", description="Endpoint of an S3-compatible store other than AWS.")
    cdp_s3_region: str = Field("us-east-1", description="Region of the event store's bucket.")
    cdp_s3_access_key_id: str = Field("", description="Access key of the event store's bucket.")
    cdp_s3_secret_access_key: str = Field("", description="Secret key of the event store's bucket.")
    cdp_s3_cache_bytes: int = Field(
        20 << 30, ge=1 << 20, description="Disk that this machine may use for copies of the bucket's event files."
    )
    cdp_event_recent_days: int = Field(30, ge=1, le=400, description="How many days of events also stay in PostgreSQL.")
    cdp_duckdb_memory_limit: str = Field("4GB", description="Memory one analytical query may use.")
    cdp_duckdb_threads: int = Field(2, ge=1, le=256, description="Threads one analytical query may use.")
    cdp_max_removal_share: float = Field(
        0.2, ge=0, le=1, description="An audience run stops when it would remove a larger share of the sent list."
    )
    cdp_holdout_share: float = Field(
        0.1, ge=0, lt=1, description="Default share of an audience that is never delivered."
    )
    cdp_rfm_frequency_bands: str = Field(
        "1,2,3,4,7",
        pattern=r"^(\d+(,\d+){4})?$",
        description="Fewest days with an order for the frequency scores 1 to 5; empty scores by fifths of people.",
    )
    cdp_collect_max_body_bytes: int = Field(
        4_194_304, ge=1024, description="Largest tracking request after decompression; larger is 413."
    )
    cdp_collect_rate_per_second: int = Field(
        10_000, ge=1, description="Events a second one write key may send before 429."
    )
    database_url: str = Field("", description="`postgresql://…`; empty starts a private server under the data folder.")
    database_pool_size: int = Field(8, ge=1, le=200, description="Connections each web process may hold.")
    celery_broker_url: str = Field(
        "", description="`redis://…`, `amqp://…` or `pgmq://…`; empty means the database itself."
    )
    cdp_port: int = Field(
        8000,
        ge=0,
        le=65535,
        description="Port `./run demo` and `./run serve` prefer; a free one is taken when it is in use.",
    )

    @staticmethod
    def parse_keys(text: str) -> dict[int, str]:
        """``1:secret,2:secret`` to {1: …, 2: …}. Raises ValueError naming the variable."""
        keys: dict[int, str] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            number, _, secret = part.partition(":")
            if not number.isdigit() or not 0 <= int(number) <= 255 or len(secret) < 16:
                raise ValueError(
                    "CDP_ENCRYPTION_KEYS: write `<id>:<secret of at least 16 characters>`, id 0 to 255, comma-separated"
                )
            keys[int(number)] = secret
        return keys


def load_config(environment: dict[str, str] | None = None) -> Config:
    """Read the process environment (and ``*_FILE`` secrets) into a Config. Raises ValueError or OSError, naming the variable."""
    env = dict(os.environ if environment is None else environment)
    env |= read_file_secrets(env)
    values: dict[str, object] = {name: env[name.upper()] for name in Config.model_fields if env.get(name.upper())}
    if isinstance(keys := values.get("cdp_encryption_keys"), str):
        values["cdp_encryption_keys"] = Config.parse_keys(keys)
    return Config.model_validate(values)
