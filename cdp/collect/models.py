"""Where data come from, what was refused and why, and how far each file got."""

from django.db import models
from django.db.models.functions import Now

__all__ = ["ImportRun", "RateBucket", "Reject", "Source"]


class Source(models.Model):
    """A website, app, server or file feed. Trackers authenticate with its write key (public by nature)."""

    source_no = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=[(k, k) for k in ("web", "server", "app", "file")])
    write_key = models.CharField(max_length=64, unique=True)
    allowed_origins = models.TextField(
        blank=True, help_text="One origin a line; empty lets no browser in but servers still work."
    )
    is_enabled = models.BooleanField(default=True)
    is_made_up = models.BooleanField(default=False, help_text="Demo data that were generated; every page says so.")
    created_at = models.DateTimeField(db_default=Now())
    last_event_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.title


class RateBucket(models.Model):
    """How many calls a source may still send right now, shared by all web processes. Unlogged: it may be lost in a crash."""

    source_no = models.BigIntegerField(primary_key=True)
    tokens = models.FloatField()
    refilled_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "cdp_ratebucket"

    def __str__(self) -> str:
        return f"bucket of source {self.source_no}"


class ImportRun(models.Model):
    """One file's way in: resumable by ``lines_done``, safe to repeat."""

    run_no = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=[(k, k) for k in ("profiles", "orders", "events", "consents")])
    file_name = models.CharField(max_length=200)
    file_sha256 = models.CharField(max_length=64, db_index=True)
    mapping = models.JSONField(default=dict)
    state = models.CharField(max_length=10, default="running", choices=[(s, s) for s in ("running", "done", "failed")])
    lines_done = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    rejects_path = models.TextField(blank=True)
    rejects_bytes = models.BigIntegerField(
        default=0,
        help_text="Length of the rejects file as of ``lines_done``; what a killed run wrote beyond it is cut off.",
    )
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} from {self.file_name}"


class Reject(models.Model):
    """One item or line that was not taken: field, reason, and the sample itself, encrypted."""

    reject_no = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+")
    import_run = models.ForeignKey(ImportRun, null=True, on_delete=models.CASCADE, related_name="+")
    line = models.BigIntegerField(null=True)
    message_id = models.TextField(blank=True)
    field = models.CharField(max_length=120)
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    sample_encrypted = models.BinaryField(null=True)
    received_at = models.DateTimeField(db_default=Now(), db_index=True)

    def __str__(self) -> str:
        return f"{self.code} at {self.field}"
