"""One person after resolution: profile, traits with source and time, computed traits with as-of and run.

Values are stated by identifiers (``TraitValue``); what a profile shows (``Profile.traits``) is a projection over its
identifiers, so that merge and unmerge move nothing but the identifier.
"""

from django.db import models
from django.db.models.functions import Now

from cdp.core.ids import uuid7

__all__ = ["ComputedTraits", "Profile", "ProfileSnapshot", "Trait", "TraitValue"]

VALUE_TYPES = ("text", "number", "date", "boolean", "text_list")


class Profile(models.Model):
    """``profile_no`` is for joins and bitmaps, ``profile_id`` may be shown. A merged profile keeps its row and points on."""

    profile_no = models.BigAutoField(primary_key=True)
    profile_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    change_seq = models.BigIntegerField(
        db_default=0, db_index=True, help_text="Number of the last change; the snapshot reads above its own."
    )
    is_identified = models.BooleanField(db_default=False, help_text="Holds a known identifier (account, email, phone).")
    merged_into_no = models.BigIntegerField(null=True)
    erased_at = models.DateTimeField(null=True)
    traits = models.JSONField(default=dict, help_text="Projection of TraitValue: {key: value}.")

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"
        indexes = [
            # Few rows; an evaluation asks which of its million members are among them.
            models.Index(
                fields=["profile_no"],
                condition=models.Q(merged_into_no__isnull=False) | models.Q(erased_at__isnull=False),
                name="profiles_gone",
            ),
            models.Index(
                fields=["merged_into_no"], condition=models.Q(merged_into_no__isnull=False), name="profiles_merged"
            ),
        ]

    def __str__(self) -> str:
        return str(self.profile_id)


class Trait(models.Model):
    """Catalogue of traits: type, unit, sensitivity. Computed ones are dotted: ``ltv.predicted_365d_amount``."""

    trait_no = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=80, unique=True)
    title = models.CharField(max_length=80)
    value_type = models.CharField(max_length=10, choices=[(t, t) for t in VALUE_TYPES])
    unit = models.CharField(max_length=20, blank=True)
    description = models.CharField(max_length=200, blank=True)
    is_computed = models.BooleanField(default=False)
    is_personal = models.BooleanField(default=True, help_text="Masked unless permitted; left out of logs and previews.")
    is_declared = models.BooleanField(default=True, help_text="Has a typed column that rules can read.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.title


class TraitValue(models.Model):
    """What one identifier's calls said of one trait: value, source, time. The ledger behind ``Profile.traits``."""

    identifier_no = models.BigIntegerField()
    trait_no = models.BigIntegerField()
    pk = models.CompositePrimaryKey("identifier_no", "trait_no")
    value = models.JSONField()
    source_no = models.BigIntegerField()
    set_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"trait {self.trait_no} of identifier {self.identifier_no}"


class ComputedTraits(models.Model):
    """Values of one computed group (rfm, ltv, cluster, intent) for one person: {key without group: value}."""

    profile_no = models.BigIntegerField()
    group = models.CharField(max_length=20)
    pk = models.CompositePrimaryKey("profile_no", "group")
    values = models.JSONField()
    as_of = models.DateTimeField(
        help_text="As of when the values last changed; the group's own as-of is its snapshot's."
    )
    run_no = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "computed traits"

    def __str__(self) -> str:
        return f"{self.group} of profile {self.profile_no}"


class ProfileSnapshot(models.Model):
    """Manifest of typed columnar copies for the engine: one current file per ``group`` (profiles, rfm, ltv, …)."""

    snapshot_no = models.BigAutoField(primary_key=True)
    group = models.CharField(max_length=20)
    path = models.TextField(unique=True)
    rows = models.BigIntegerField()
    change_seq = models.BigIntegerField(default=0, help_text="profiles: changes up to this number are in the file.")
    run_no = models.BigIntegerField(default=0)
    as_of = models.DateTimeField(null=True, help_text="Computed groups: the moment the values hold for.")
    full_at = models.DateTimeField(null=True, help_text="profiles: when it was last written from scratch.")
    columns_sha256 = models.CharField(max_length=64, blank=True, help_text="Which columns and types the file has.")
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["group"], condition=models.Q(removed_at=None), name="one_current_snapshot_per_group"
            )
        ]

    def __str__(self) -> str:
        return self.path
