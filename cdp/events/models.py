"""What happened: durable inbox, recent window, manifest of the Parquet files, orders, outbox.

Every stored event carries ``identifier_no`` (its strongest identifier) and the ``profile_no`` of that day.
High-volume tables hold plain numbers, no foreign keys. Partitioned tables are made in SQL (``managed = False``).
"""

from django.db import models
from django.db.models.functions import Now

__all__ = [
    "ErasedIdentifier",
    "Event",
    "EventFile",
    "EventName",
    "EventProperty",
    "IdentifierOverlay",
    "InboxEvent",
    "MessageKey",
    "Order",
    "OutboxMessage",
    "StoreMark",
]


class InboxEvent(models.Model):
    """An acknowledged tracking call that waits for identity resolution. Removed in the transaction that stores its event."""

    inbox_no = models.BigAutoField(primary_key=True)
    source_no = models.BigIntegerField()
    message_id = models.TextField()
    received_at = models.DateTimeField(db_default=Now())
    payload = models.BinaryField(help_text="The item as sent (JSON bytes), its times already corrected for clock skew.")
    attempts = models.SmallIntegerField(db_default=0)
    not_before = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"inbox {self.inbox_no}"


class MessageKey(models.Model):
    """Exactly one effect per (source, message id). Hash-partitioned; ``day`` lets retention drop old keys."""

    source_no = models.BigIntegerField()
    message_hash = models.BinaryField(max_length=16, help_text="First 16 bytes of SHA-256 of the message id.")
    day = models.DateField()
    pk = models.CompositePrimaryKey("source_no", "message_hash")

    class Meta:
        managed = False
        db_table = "cdp_messagekey"

    def __str__(self) -> str:
        return f"message of source {self.source_no}"


class Event(models.Model):
    """The recent window: one row an event, in day partitions (by ``received_at``) that are dropped, never deleted from.

    Rows with ``event_no`` above the mark ``flushed`` are the tail that no Parquet file holds yet.
    """

    event_no = models.BigIntegerField()
    received_at = models.DateTimeField()
    pk = models.CompositePrimaryKey("event_no", "received_at")
    source_no = models.BigIntegerField()
    message_id = models.TextField()
    kind = models.TextField(help_text="track, identify, page, screen, group or alias")
    name = models.TextField(help_text="Event name; for page and screen the page's name.")
    occurred_at = models.DateTimeField()
    identifier_no = models.BigIntegerField()
    profile_no = models.BigIntegerField()
    order_id = models.TextField(null=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, null=True)
    properties = models.TextField(help_text="JSON, as sent.")

    class Meta:
        managed = False
        db_table = "cdp_event"

    def __str__(self) -> str:
        return f"event {self.event_no}"


class EventFile(models.Model):
    """The manifest: a Parquet file exists for readers exactly while its row has no ``removed_at``.

    ``hot`` files hold one flush (any months); ``compacted`` files hold one occurred month and one hash bucket,
    ``bucket_of(identifier_no, buckets) == bucket`` (files/layout.py).
    """

    file_no = models.BigAutoField(primary_key=True)
    path = models.TextField(unique=True, help_text="Below the storage root, e.g. hot/day=2026-11-23/….parquet")
    kind = models.CharField(max_length=10, choices=[("hot", "hot"), ("compacted", "compacted")])
    day = models.DateField(null=True, help_text="Hot files: the UTC day of the flush.")
    month = models.DateField(
        null=True, help_text="Compacted files: first day of the month the events occurred in (UTC)."
    )
    bucket = models.SmallIntegerField(null=True)
    buckets = models.SmallIntegerField(null=True)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    min_event_no = models.BigIntegerField()
    max_event_no = models.BigIntegerField()
    min_occurred_at = models.DateTimeField()
    max_occurred_at = models.DateTimeField()
    min_received_at = models.DateTimeField()
    overlay_seq = models.BigIntegerField(help_text="Overlay rows up to this number are folded in.")
    erased_seq = models.BigIntegerField(help_text="Tombstones up to this number are applied.")
    property_types = models.JSONField(
        default=dict, help_text="Declared properties that stand as typed columns: {key: type}."
    )
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="hot", day__isnull=False)
                | models.Q(kind="compacted", month__isnull=False, bucket__isnull=False, buckets__isnull=False),
                name="event_file_is_placed",
            )
        ]

    def __str__(self) -> str:
        return self.path


class StoreMark(models.Model):
    """Named counters of the event store; ``flushed`` is the highest event_no that stands in a file."""

    name = models.CharField(max_length=30, primary_key=True)
    value = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} {self.value}"


class IdentifierOverlay(models.Model):
    """A re-identified identifier: readers use this profile instead of the one written in the files."""

    identifier_no = models.BigIntegerField(primary_key=True)
    profile_no = models.BigIntegerField()
    seq = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"overlay of identifier {self.identifier_no}"


class ErasedIdentifier(models.Model):
    """A tombstone: readers leave these events out at once, the next rewrite removes them from the files."""

    identifier_no = models.BigIntegerField(primary_key=True)
    seq = models.BigIntegerField(db_index=True)
    erased_at = models.DateTimeField(db_default=Now())
    rewritten_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"tombstone of identifier {self.identifier_no}"


class EventName(models.Model):
    """Catalogue: which events exist, so that rules can be checked and suggested."""

    name = models.TextField(primary_key=True)
    kind = models.TextField()
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class EventProperty(models.Model):
    """Catalogue: a declared property becomes a typed column ``p_<key>`` of the event files; rules read only those."""

    key = models.CharField(max_length=60, primary_key=True)
    value_type = models.CharField(max_length=10, choices=[(t, t) for t in ("text", "number", "boolean", "date")])
    title = models.CharField(max_length=80)
    declared_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "event properties"

    def __str__(self) -> str:
        return self.title


class Order(models.Model):
    """The order ledger: one row per (source, order id), its latest state. RFM and LTV read it."""

    order_no = models.BigAutoField(primary_key=True)
    source_no = models.BigIntegerField()
    order_id = models.TextField()
    identifier_no = models.BigIntegerField(db_index=True)
    ordered_at = models.DateTimeField(db_index=True)
    amount = models.DecimalField(max_digits=18, decimal_places=4, help_text="Net of refunds, in `currency`.")
    currency = models.CharField(max_length=3)
    items = models.IntegerField(null=True)
    status = models.CharField(
        max_length=12, default="completed", choices=[(s, s) for s in ("completed", "refunded", "cancelled")]
    )
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source_no", "order_id"], name="one_order_per_source_and_id")]

    def __str__(self) -> str:
        return f"order {self.order_no}"


class OutboxMessage(models.Model):
    """Work for a later slice, written in the business transaction and claimed with SKIP LOCKED, a lease and a fencing token.

    ``payload`` holds ids and counts only.
    """

    outbox_no = models.BigAutoField(primary_key=True)
    topic = models.CharField(max_length=40)
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.SmallIntegerField(db_default=0)
    leased_until = models.DateTimeField(null=True)
    fence = models.BigIntegerField(db_default=0)
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["topic", "due_at"], condition=models.Q(done_at=None), name="outbox_open")]

    def __str__(self) -> str:
        return f"{self.topic} {self.outbox_no}"
