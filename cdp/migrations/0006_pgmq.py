"""The message queue behind Celery's default broker ``pgmq://``: PGMQ's SQL from the pgmq wheel, in its own schema ``pgmq``.

Plain SQL, no server extension, no superuser: the owner of the database is enough. A database that already has PGMQ (a managed
one with the extension, or a broker shared with another service) is left as it is, and nothing is dropped on the way back.
"""

from typing import Any

from django.db import migrations
from pgmq.install import get_embedded_install_sql


def pgmq_install(apps: Any, schema_editor: Any) -> None:
    """Run the script once; it has no ``IF NOT EXISTS`` of its own everywhere."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pgmq.meta') IS NOT NULL")
        if not cursor.fetchone()[0]:
            cursor.execute(get_embedded_install_sql())


class Migration(migrations.Migration):
    dependencies = [("cdp", "0005_seed_catalogue")]
    operations = [migrations.RunPython(pgmq_install, migrations.RunPython.noop, elidable=False)]
