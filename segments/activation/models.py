"""Connections, what is wanted and what was sent, runs, batches, receipts."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

__all__ = ["AudienceTarget", "Connection", "RemovalReceipt", "SentEntry", "Sync", "SyncBatch", "SyncOutcome"]

# Causes that no stop holds back: they leave in their own lane.
OPT_OUT_CAUSES = ("consent_withdrawn", "suppressed", "erased", "identity_changed")


class Connection(models.Model):
    """A configured account at a destination. ``secrets_encrypted`` is write-only; ``base_url`` is always configuration."""

    key = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=80)
    destination = models.CharField(max_length=60, help_text="Destination slug.")
    base_url = models.URLField(max_length=200)
    settings = models.JSONField(default=dict, help_text="Account ids and options that the destination declares.")
    secrets_encrypted = models.BinaryField(null=True, editable=False)
    is_sandbox = models.BooleanField(default=False)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=300, blank=True)
    wait_until = models.DateTimeField(null=True, help_text="The network asked to wait; nothing is sent before.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.title


class AudienceTarget(models.Model):
    """An audience at one connection: its list at the network and the schedule that keeps it equal."""

    target_no = models.BigAutoField(primary_key=True)
    audience = models.ForeignKey("segments.Audience", on_delete=models.PROTECT, related_name="targets")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="targets")
    external_id = models.CharField(max_length=80, blank=True, help_text="The list's id at the network, once it exists.")
    sync_every_minutes = models.IntegerField(default=60)
    due_at = models.DateTimeField(db_default=Now(), db_index=True)
    max_removal_share = models.FloatField(default=0.2)
    is_enabled = models.BooleanField(default=True)
    fence = models.BigIntegerField(
        db_default=0, help_text="Grows with every writer; one that was overtaken writes no more."
    )
    last_seq = models.BigIntegerField(db_default=0, help_text="The last wish's number; see SentEntry.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["audience", "connection"], name="one_target_per_audience_and_connection")
        ]

    def __str__(self) -> str:
        return f"{self.audience} → {self.connection}"


class SentEntry(models.Model):
    """A person who is, or may be, on a list: the wish, how far it got, and the digests that were sent.

    ``seq`` is the target's number of the last wish, ``sent_seq`` that of the batch that last carried the person,
    ``acknowledged_seq`` that of the last one the network answered for. A batch only settles what it carried itself, so an
    older one does nothing. A row is written before the first request and deleted when the removal is confirmed: nobody
    without a row is on the list.
    """

    target_no = models.BigIntegerField()
    profile_no = models.BigIntegerField()
    pk = models.CompositePrimaryKey("target_no", "profile_no")
    wanted = models.BooleanField()
    seq = models.BigIntegerField()
    sent_seq = models.BigIntegerField(default=0, help_text="Highest seq that a batch carried.")
    acknowledged_seq = models.BigIntegerField(default=0)
    is_on_list = models.BooleanField(
        null=True,
        help_text="As far as acknowledged: true, false (refused), or unknown (in flight, or a partial answer).",
    )
    members = models.JSONField(default=list, help_text="Digests as sent, so that a removal works after erasure.")
    cause = models.CharField(
        max_length=30, blank=True, help_text="joined, left, consent_withdrawn, suppressed, erased, identity_changed."
    )
    wanted_at = models.DateTimeField(db_default=Now())
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sent entries"
        indexes = [models.Index(fields=["target_no"], condition=models.Q(wanted=False), name="entries_to_remove")]

    def __str__(self) -> str:
        return f"entry of target {self.target_no}"


class Sync(models.Model):
    """One run of one target."""

    sync_no = models.BigAutoField(primary_key=True)
    target = models.ForeignKey(AudienceTarget, on_delete=models.PROTECT, related_name="syncs")
    lane = models.CharField(max_length=10, default="regular", choices=[("regular", "regular"), ("opt_out", "opt_out")])
    state = models.CharField(
        max_length=12,
        default="planning",
        choices=[
            (s, s)
            for s in (
                "planning",
                "stopped",
                "sending",
                "confirming",
                "sent",
                "partial",
                "failed",
                "no_change",
                "cancelled",
            )
        ],
    )
    segment_version = models.IntegerField(null=True)
    seq = models.BigIntegerField(default=0, help_text="The wish's number that this run's batches carry.")
    reach = models.JSONField(
        default=dict, help_text="members, held_out, consent, suppressed, identifier: counts of the waterfall."
    )
    to_add = models.BigIntegerField(default=0)
    to_remove = models.BigIntegerField(default=0)
    planned_add = models.BinaryField(null=True, help_text="Roaring bitmap: who an approval would add.")
    planned_remove = models.BinaryField(null=True, help_text="Roaring bitmap: who an approval would remove.")
    removal_causes = models.JSONField(default=dict, help_text="Why people would leave: {cause: people}.")
    warnings = models.JSONField(
        default=list, help_text="Sentences that stop nothing, e.g. below the network's minimum."
    )
    on_list_before = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0, help_text="Confirmed by the network: added or removed.")
    rejected = models.BigIntegerField(default=0)
    dropped_at_send = models.BigIntegerField(
        default=0, help_text="Adds that the gate refused in the moment of sending."
    )
    reason = models.CharField(max_length=400, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"run {self.sync_no}"


class SyncBatch(models.Model):
    """One request, recorded before it is made. A time-out leaves it ``unknown``; the same batch is sent again."""

    batch_no = models.BigAutoField(primary_key=True)
    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="batches")
    batch_key = models.CharField(max_length=64, unique=True)
    position = models.IntegerField(
        default=0, help_text="1, 2, … within the run and operation; 0 for a part of a split batch."
    )
    operation = models.CharField(max_length=6, choices=[("add", "add"), ("remove", "remove")])
    state = models.CharField(
        max_length=10,
        default="planned",
        choices=[(s, s) for s in ("planned", "unknown", "accepted", "processed", "failed", "split")],
    )
    entries = models.IntegerField()
    profile_nos = models.BinaryField(help_text="Roaring bitmap of the people in this batch.")
    up_to_seq = models.BigIntegerField()
    request_ref = models.CharField(max_length=120, blank=True, help_text="The network's request or session id.")
    outcome = models.JSONField(default=dict)
    attempts = models.SmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    retry_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    unsettled_until = models.DateTimeField(
        null=True, help_text="A request of it got no answer and may still be applied until then."
    )
    acknowledged_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "sync batches"
        indexes = [models.Index(fields=["state", "retry_at"], name="batches_by_state")]

    def __str__(self) -> str:
        return f"batch {self.batch_no}"


class SyncOutcome(models.Model):
    """Deliveries of one run counted by outcome; refused people by number, never by address."""

    sync = models.ForeignKey(Sync, on_delete=models.CASCADE, related_name="outcomes")
    outcome = models.CharField(max_length=12, choices=[(o, o) for o in ("accepted", "rejected", "dropped")])
    code = models.CharField(max_length=80)
    count = models.BigIntegerField()
    profile_nos = models.BinaryField(null=True, help_text="Roaring bitmap, where the network names rows.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sync", "outcome", "code"], name="one_count_per_outcome_and_code")
        ]

    def __str__(self) -> str:
        return f"{self.outcome}: {self.code}"


class RemovalReceipt(models.Model):
    """Proof that an opted-out person left a list, and when. Outlives the entry and the person's erasure."""

    receipt_no = models.BigAutoField(primary_key=True)
    target = models.ForeignKey(AudienceTarget, on_delete=models.PROTECT, related_name="receipts")
    profile_no = models.BigIntegerField(db_index=True)
    cause = models.CharField(max_length=30, choices=[(c, c) for c in OPT_OUT_CAUSES])
    received_at = models.DateTimeField(help_text="When the withdrawal was recorded.")
    wanted_at = models.DateTimeField(help_text="When the removal was queued.")
    sent_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    attempts = models.SmallIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["target"], condition=models.Q(confirmed_at=None), name="receipts_open"),
            models.Index(fields=["target", "-receipt_no"], name="receipts_by_target"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["target", "profile_no"], condition=models.Q(confirmed_at=None), name="one_open_receipt"
            )
        ]

    def __str__(self) -> str:
        return f"receipt {self.receipt_no}"
