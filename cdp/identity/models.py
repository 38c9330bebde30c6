"""Who is this: identifiers, their types, and every decision that joined or parted people."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

__all__ = ["Identifier", "IdentifierType", "IdentityDecision", "IdentityTombstone"]


class IdentifierType(models.Model):
    """How one kind of identifier behaves: normalising, priority on conflict, limits, blocked values."""

    key = models.CharField(max_length=30, unique=True)
    title = models.CharField(max_length=60)
    normaliser = models.CharField(max_length=20, help_text="email, phone, text or device: see cdp.core.normalise.")
    priority = models.SmallIntegerField(unique=True, help_text="1 is strongest.")
    is_known = models.BooleanField(help_text="Tells who a person is (account, email, phone), not only which device.")
    is_unique = models.BooleanField(default=False, help_text="A profile holds at most one value, e.g. user_id.")
    max_per_profile = models.SmallIntegerField(default=50)
    max_profiles = models.SmallIntegerField(
        default=25, help_text="Seen with more people than this it joins nobody (shared device)."
    )
    blocked_values = ArrayField(models.CharField(max_length=80), default=list, blank=True)

    class Meta:
        ordering = ["priority"]

    def __str__(self) -> str:
        return self.title


class Identifier(models.Model):
    """One (type, normalised value): encrypted, found by its keyed blind index, held by exactly one profile."""

    identifier_no = models.BigAutoField(primary_key=True)
    type = models.ForeignKey(
        IdentifierType, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    blind_index = models.BinaryField(max_length=32)
    value_encrypted = models.BinaryField()
    profile_no = models.BigIntegerField(db_index=True)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    source_no = models.BigIntegerField()
    is_shared = models.BooleanField(
        db_default=False, help_text="Was seen with more people than its type allows; it joins nobody any more."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["type", "blind_index"], name="one_identifier_per_type_and_value")
        ]

    def __str__(self) -> str:
        return f"identifier {self.identifier_no}"


class IdentityDecision(models.Model):
    """Evidence of one decision: created, linked, merged, unmerged, demoted (a weaker identifier gave way), blocked.

    For ``merged``: ``profile_no`` is the survivor, ``other_profile_no`` the merged one and ``identifier_nos`` those that moved.
    """

    decision_no = models.BigAutoField(primary_key=True)
    kind = models.CharField(
        max_length=12, choices=[(k, k) for k in ("created", "linked", "merged", "unmerged", "demoted", "blocked")]
    )
    profile_no = models.BigIntegerField(db_index=True)
    other_profile_no = models.BigIntegerField(null=True)
    identifier_nos = ArrayField(models.BigIntegerField(), default=list)
    reason = models.CharField(max_length=120)
    source_no = models.BigIntegerField()
    message_id = models.TextField(blank=True)
    decided_at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["other_profile_no"],
                condition=models.Q(other_profile_no__isnull=False),
                name="decisions_by_other_profile",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.decision_no}"


class IdentityTombstone(models.Model):
    """An erased identifier's blind index: import, replay and late events find it and stay out."""

    type = models.ForeignKey(IdentifierType, on_delete=models.PROTECT, related_name="+")
    blind_index = models.BinaryField(max_length=32)
    pk = models.CompositePrimaryKey("type_id", "blind_index")
    erased_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"tombstone of {self.erased_at:%Y-%m-%d}"
