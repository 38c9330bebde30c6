"""Who is in, since when: membership rows and one bitmap per segment, and audiences made of segments."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

__all__ = ["Audience", "Membership", "SegmentBitmap", "SegmentSize"]


class Membership(models.Model):
    """One stay of one person in one segment. Open while ``exited_at`` is empty."""

    membership_no = models.BigAutoField(primary_key=True)
    segment_no = models.BigIntegerField()
    profile_no = models.BigIntegerField()
    entered_at = models.DateTimeField()
    exited_at = models.DateTimeField(null=True)
    version = models.IntegerField(help_text="Version of the definition that let the person in.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["segment_no", "profile_no"], condition=models.Q(exited_at=None), name="one_open_membership"
            )
        ]
        indexes = [
            models.Index(fields=["profile_no"], condition=models.Q(exited_at=None), name="open_memberships_of_profile"),
            models.Index(
                fields=["segment_no", "-entered_at"], condition=models.Q(exited_at=None), name="members_by_entry"
            ),
        ]

    def __str__(self) -> str:
        return f"membership {self.membership_no}"


class SegmentBitmap(models.Model):
    """The members as a roaring bitmap of profile numbers: base of the next diff, operand of set algebra."""

    segment_no = models.BigIntegerField(primary_key=True)
    version = models.IntegerField()
    bitmap = models.BinaryField(help_text="pyroaring BitMap64, serialised.")
    size = models.BigIntegerField()
    written_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"bitmap of segment {self.segment_no}"


class SegmentSize(models.Model):
    """One evaluation: how many, how many joined and left, how long it took."""

    segment_no = models.BigIntegerField()
    at = models.DateTimeField()
    version = models.IntegerField()
    size = models.BigIntegerField()
    joined = models.BigIntegerField()
    left = models.BigIntegerField()
    took_ms = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["segment_no", "-at"], name="sizes_by_segment")]

    def __str__(self) -> str:
        return f"{self.size} at {self.at:%Y-%m-%d %H:%M}"


class Audience(models.Model):
    """A segment made addressable: purposes that must be granted, and a stable share that is never delivered."""

    audience_no = models.BigAutoField(primary_key=True)
    key = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    segment = models.ForeignKey("segments.Segment", on_delete=models.PROTECT, related_name="audiences")
    purposes = ArrayField(
        models.CharField(max_length=40),
        help_text="Purpose keys that must all be granted, besides the destination's own.",
    )
    holdout_share = models.FloatField(default=0.1, validators=[MinValueValidator(0), MaxValueValidator(0.9)])
    holdout_salt = models.CharField(max_length=40, help_text="Decides who is held out; never changed once used.")
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.title
