"""What this person agreed to, on which day, in which words.

The ledger is keyed to the identifier, append-only, and the state per profile is a projection of it.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

__all__ = ["ConsentRecord", "ConsentState", "DestinationPurpose", "Notice", "Purpose", "Suppression"]

ACTIONS = ("granted", "denied", "withdrawn", "expired", "pending", "confirmed", "objected", "restricted", "lifted")
STATES = ("granted", "denied", "withdrawn", "expired", "pending", "unknown")


class Purpose(models.Model):
    """What data may be used for: analytics, email_marketing, personalisation, advertising …"""

    key = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    position = models.SmallIntegerField(default=0)
    expires_after_days = models.IntegerField(
        null=True, blank=True, help_text="Ask again after this many days; empty never expires."
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["position", "key"]

    def __str__(self) -> str:
        return self.title


class Notice(models.Model):
    """The exact words that were shown. Immutable once published."""

    version = models.CharField(max_length=40)
    locale = models.CharField(max_length=12)
    text = models.TextField()
    text_sha256 = models.CharField(max_length=64)
    published_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "locale"], name="one_text_per_notice_and_locale")]

    def __str__(self) -> str:
        return f"notice {self.version} ({self.locale})"


class ConsentRecord(models.Model):
    """One act. The database refuses UPDATE, DELETE and TRUNCATE; a correction is a new record."""

    record_no = models.BigAutoField(primary_key=True)
    identifier_no = models.BigIntegerField(db_index=True)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=10, choices=[(a, a) for a in ACTIONS])
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    source_no = models.BigIntegerField()
    method = models.CharField(max_length=30, help_text="accept_all, reject_all, save, gpc, import, api …")
    notice_version = models.CharField(max_length=40, blank=True)
    locale = models.CharField(max_length=12, blank=True)
    jurisdiction = models.CharField(max_length=12, blank=True, help_text="ISO country or country-region, when known.")
    evidence = models.JSONField(default=dict, help_text="Raw signal, form or URL. No address, no IP in full.")
    idempotency_key = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source_no", "idempotency_key", "purpose"], name="one_consent_effect_per_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.record_no}"


class ConsentState(models.Model):
    """Projection: what holds now for (profile, purpose). Rebuilt from the ledger at any time."""

    profile_no = models.BigIntegerField()
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+")
    pk = models.CompositePrimaryKey("profile_no", "purpose_id")
    state = models.CharField(max_length=10, choices=[(s, s) for s in STATES])
    since = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    record_no = models.BigIntegerField(help_text="The record that decided.")
    is_conflict = models.BooleanField(
        default=False, help_text="Identifiers of this person disagree; the most restrictive holds."
    )

    class Meta:
        indexes = [models.Index(fields=["purpose", "state"], name="consent_by_purpose")]

    def __str__(self) -> str:
        return f"{self.state} for profile {self.profile_no}"


class Suppression(models.Model):
    """Never deliver this identifier anywhere, whatever the consent says: complaint, bounce, legal, by hand."""

    identifier_no = models.BigIntegerField(primary_key=True)
    reason = models.CharField(max_length=60)
    created_at = models.DateTimeField(db_default=Now())
    lifted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"suppression of identifier {self.identifier_no}"


class DestinationPurpose(models.Model):
    """Which purposes must all be granted before a person may go to a destination. Unmapped means unusable."""

    destination = models.CharField(
        max_length=60, unique=True, help_text="Destination slug, e.g. meta_custom_audiences."
    )
    purposes = ArrayField(models.CharField(max_length=40), help_text="Purpose keys.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.destination}: {', '.join(self.purposes)}"
