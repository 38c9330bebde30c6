"""Tables that Django's schema editor cannot say: partitions, sequences, storage settings; and the event store's seeds."""

from django.db import migrations

MESSAGE_KEY_PARTITIONS = 16

TABLES = """
CREATE SEQUENCE cdp_event_no_seq;
CREATE SEQUENCE cdp_overlay_seq;
CREATE SEQUENCE cdp_erased_seq;

CREATE TABLE cdp_messagekey (
    source_no bigint NOT NULL,
    message_hash bytea NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (source_no, message_hash)
) PARTITION BY HASH (message_hash);

CREATE TABLE cdp_event (
    event_no bigint NOT NULL DEFAULT nextval('cdp_event_no_seq'),
    received_at timestamptz NOT NULL,
    source_no bigint NOT NULL,
    message_id text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    occurred_at timestamptz NOT NULL,
    identifier_no bigint NOT NULL,
    profile_no bigint NOT NULL,
    order_id text,
    amount numeric(18, 4),
    currency varchar(3),
    properties text NOT NULL,
    PRIMARY KEY (event_no, received_at)
) PARTITION BY RANGE (received_at);

-- A profile's timeline is that of its identifiers, so a merge moves no row here.
CREATE INDEX cdp_event_by_identifier ON cdp_event (identifier_no, occurred_at DESC);

-- Both are queues: rows come and go, so vacuum by count instead of by share.
ALTER TABLE cdp_inboxevent SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000
);
ALTER TABLE cdp_outboxmessage SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000
);
"""

# A new day is attached, not created in place: attaching lets readers and writers of the other days go on.
PARTITION_ENSURE = """
CREATE FUNCTION cdp_event_partition_ensure(day date) RETURNS void LANGUAGE plpgsql AS $body$
DECLARE
    part text := 'cdp_event_' || to_char(day, 'YYYYMMDD');
    first_moment timestamptz := day::timestamp AT TIME ZONE 'UTC';
    next_moment timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(part) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7300, 4);
    -- Read from the catalogue, since to_regclass may answer from before the wait for the lock.
    IF EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = current_schema()::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE cdp_event INCLUDING DEFAULTS)', part);
    EXECUTE format(
        'ALTER TABLE %I ADD CONSTRAINT day CHECK (received_at >= %L AND received_at < %L)', part, first_moment, next_moment
    );
    EXECUTE format(
        'ALTER TABLE cdp_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, first_moment, next_moment
    );
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT day', part);
END
$body$;
"""

UNDO = """
DROP FUNCTION cdp_event_partition_ensure(date);
DROP TABLE cdp_event;
DROP TABLE cdp_messagekey;
DROP SEQUENCE cdp_event_no_seq, cdp_overlay_seq, cdp_erased_seq;
ALTER TABLE cdp_inboxevent RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold
);
ALTER TABLE cdp_outboxmessage RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_vacuum_cost_delay,
    autovacuum_analyze_scale_factor, autovacuum_analyze_threshold
);
"""

PROPERTIES = [
    ("category", "text", "Category"),
    ("product_id", "text", "Product"),
    ("sku", "text", "SKU"),
    ("brand", "text", "Brand"),
    ("quantity", "number", "Quantity"),
    ("url", "text", "Page address"),
    ("path", "text", "Page path"),
    ("value", "number", "Value"),
    ("coupon", "text", "Coupon"),
]


def message_key_partitions_create(apps, schema_editor):
    for remainder in range(MESSAGE_KEY_PARTITIONS):
        schema_editor.execute(
            f"CREATE TABLE cdp_messagekey_{remainder:02} PARTITION OF cdp_messagekey "
            f"FOR VALUES WITH (MODULUS {MESSAGE_KEY_PARTITIONS}, REMAINDER {remainder})"
        )


def seeds_write(apps, schema_editor):
    apps.get_model("cdp", "StoreMark").objects.bulk_create(
        [apps.get_model("cdp", "StoreMark")(name=name, value=0) for name in ("flushed", "overlay")]
    )
    event_property = apps.get_model("cdp", "EventProperty")
    event_property.objects.bulk_create(
        [event_property(key=key, value_type=value_type, title=title) for key, value_type, title in PROPERTIES]
    )


def seeds_remove(apps, schema_editor):
    apps.get_model("cdp", "StoreMark").objects.all().delete()
    apps.get_model("cdp", "EventProperty").objects.filter(key__in=[key for key, _, _ in PROPERTIES]).delete()


class Migration(migrations.Migration):
    dependencies = [("cdp", "0001_initial")]

    operations = [
        migrations.RunSQL(TABLES, UNDO),
        migrations.RunPython(message_key_partitions_create, migrations.RunPython.noop),
        migrations.RunSQL(PARTITION_ENSURE, migrations.RunSQL.noop),
        migrations.RunPython(seeds_write, seeds_remove),
    ]
