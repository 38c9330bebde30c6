"""The token buckets of the tracking API: unlogged, since every request writes one and a crash may forget them."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cdp", "0006_pgmq")]

    operations = [
        migrations.RunSQL(
            """
            CREATE UNLOGGED TABLE cdp_ratebucket (
                source_no bigint PRIMARY KEY,
                tokens double precision NOT NULL,
                refilled_at timestamptz NOT NULL
            ) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)
            """,
            "DROP TABLE cdp_ratebucket",
        )
    ]
