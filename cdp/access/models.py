"""API keys, the audit log and heartbeats."""

import hashlib
import hmac
import secrets

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

__all__ = ["ApiKey", "AuditEntry", "Heartbeat"]


class ApiKey(models.Model):
    """Public prefix + 256-bit secret; only its SHA-256 is stored (high entropy needs no slow hash). Shown once."""

    prefix = models.CharField(max_length=12, unique=True)
    secret_sha256 = models.BinaryField(max_length=32)
    name = models.CharField(max_length=80)
    scopes = ArrayField(models.CharField(max_length=32))
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(cls, name: str, scopes: list[str]) -> tuple["ApiKey", str]:
        """An unsaved key and its full text ``cdp_<prefix>_<secret>``, which is never readable again."""
        prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = cls(prefix=prefix, name=name, scopes=scopes, secret_sha256=hashlib.sha256(secret.encode()).digest())
        return key, f"cdp_{prefix}_{secret}"

    def opens_with(self, secret: str) -> bool:
        """Constant-time comparison with the stored digest."""
        return hmac.compare_digest(bytes(self.secret_sha256), hashlib.sha256(secret.encode()).digest())


class AuditEntry(models.Model):
    """Who did what to which thing, when. Append-only (the database refuses UPDATE, DELETE and TRUNCATE)."""

    at = models.DateTimeField(db_default=Now(), db_index=True)
    actor = models.CharField(max_length=80, help_text="Staff log-in name, `key:<prefix>` or `system`.")
    action = models.CharField(max_length=60)
    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    detail = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["subject_kind", "subject_id"])]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.action}"


class Heartbeat(models.Model):
    """The last sign of life of beat and of the workers."""

    process = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.process} {self.at:%H:%M:%S}"
