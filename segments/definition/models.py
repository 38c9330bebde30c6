"""Segments and the versions of their definitions."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

__all__ = ["Segment", "SegmentVersion"]


class Segment(models.Model):
    """Who qualifies. ``key`` is immutable and never reused."""

    segment_no = models.BigAutoField(primary_key=True)
    key = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)
    state = models.CharField(
        max_length=10, default="draft", choices=[(s, s) for s in ("draft", "counting", "ready", "failed", "archived")]
    )
    error = models.CharField(
        max_length=400, blank=True, help_text="Why the last count failed; the last good members stay."
    )
    current_version = models.ForeignKey(
        "SegmentVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    size = models.BigIntegerField(null=True)
    evaluated_at = models.DateTimeField(null=True)
    evaluated_version = models.IntegerField(null=True)
    evaluate_every_minutes = models.IntegerField(default=60)
    due_at = models.DateTimeField(db_default=Now(), db_index=True)
    leased_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.title


class SegmentVersion(models.Model):
    """A stored definition. Never edited; a change is the next version."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="versions")
    version = models.IntegerField()
    definition = models.JSONField()
    fingerprint = models.CharField(
        max_length=64, help_text="Order-insensitive SHA-256: equal for rules that mean the same text."
    )
    sentence = models.TextField()
    reason = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "version"], name="one_definition_per_version")]
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"version {self.version}"
