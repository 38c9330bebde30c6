"""The number that every change of a profile takes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("cdp", "0002_event_store")]

    operations = [
        migrations.RunSQL(
            # CACHE 1: a later call never gets a lower number, which the cut of the profile snapshot relies on.
            sql="CREATE SEQUENCE cdp_profile_change_seq AS bigint CACHE 1",
            reverse_sql="DROP SEQUENCE cdp_profile_change_seq",
        )
    ]
