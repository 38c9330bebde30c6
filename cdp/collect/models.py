"""Where data come from, what was refused and why, and how far each file got."""

from django.db import models
from django.db.models.functions import Now

__all__ = ["ImportRun", "RateBucket", "Reject", "RepeatedCall", "Source"]


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


class RejectQuerySet(models.QuerySet["Reject"]):
    """Refused calls and lines."""

    def replayable(self) -> "RejectQuerySet":
        """Calls that are kept whole and were not taken since: these can be sent through the checks again."""
        return self.filter(is_whole=True)

    def open(self) -> "RejectQuerySet":
        """Without those that a replay has settled."""
        return self.exclude(outcome__in=("accepted", "duplicate"))


class Reject(models.Model):
    """One item or line that was not taken: field, reason, and the sample itself, encrypted.

    ``kind``, ``name`` and ``person`` are what the live tail shows of a call: the person masked, once and for all.
    """

    reject_no = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+")
    import_run = models.ForeignKey(ImportRun, null=True, on_delete=models.CASCADE, related_name="+")
    line = models.BigIntegerField(null=True)
    message_id = models.TextField(blank=True)
    field = models.CharField(max_length=120)
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    sample_encrypted = models.BinaryField(null=True)
    around_encrypted = models.BinaryField(
        null=True, help_text="What the request said for all its calls: kind, sentAt, context. A replay needs it."
    )
    kind = models.CharField(max_length=10, blank=True, db_default="")
    name = models.CharField(max_length=200, blank=True, db_default="")
    person = models.CharField(max_length=80, blank=True, db_default="")
    is_kept = models.BooleanField(db_default=False, help_text="The rest of the call was taken.")
    is_whole = models.BooleanField(
        db_default=False,
        help_text="The sample is the call as it came, uncut, so it can be sent through the checks again.",
    )
    holds_key = models.BooleanField(
        db_default=False, help_text="Refused after it had been accepted: its message id counts as seen."
    )
    outcome = models.CharField(
        max_length=10,
        blank=True,
        db_default="",
        choices=[(o, o) for o in ("accepted", "duplicate", "refused")],
        help_text="What the last replay came to.",
    )
    replayed_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(db_default=Now(), db_index=True)

    objects = RejectQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["source", "-reject_no"], name="rejects_by_source")]

    def __str__(self) -> str:
        return f"{self.code} at {self.field}"

    @property
    def obstacle(self) -> str:
        """Why it cannot be sent through the checks again; empty when it can."""
        if self.is_whole:
            return ""
        if self.outcome == "accepted":
            return "Taken on replay"
        if self.outcome == "duplicate":
            return "Came in since"
        if self.is_kept:
            return "The rest of the call was taken"
        if self.import_run_id is not None:
            return "Correct the file and import it again"
        return "Kept only cut: cannot be replayed" if self.code == "too_large" else "Not kept whole: cannot be replayed"


class RepeatedCall(models.Model):
    """A call whose message id had come before, for the live tail: some of them, kept for an hour. Unlogged."""

    repeat_no = models.BigAutoField(primary_key=True)
    source_no = models.BigIntegerField()
    kind = models.CharField(max_length=10)
    name = models.CharField(max_length=200)
    person = models.CharField(max_length=80)
    received_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["source_no", "-repeat_no"], name="repeats_by_source")]

    def __str__(self) -> str:
        return f"repeat {self.repeat_no}"
