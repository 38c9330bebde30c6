"""The consent ledger and the audit log can only grow: the database itself refuses UPDATE, DELETE and TRUNCATE.

There is no door in it, not even for an erasure: both tables are keyed to opaque numbers and hold no personal data
(``consent.evidence`` keeps addresses out when a record is written), so that what remains after an erasure points to nobody.
"""

from django.db import migrations

TABLES = ("cdp_consentrecord", "cdp_auditentry")

FORWARD = """
CREATE FUNCTION cdp_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused, write a new row instead', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
"""


def guards(table: str) -> str:
    """The two triggers of one table."""
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION cdp_refuse_change();\n"
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION cdp_refuse_change();\n"
    )


def unguard(table: str) -> str:
    """What takes them away again."""
    return f"DROP TRIGGER {table}_append_only ON {table}; DROP TRIGGER {table}_no_truncate ON {table};\n"


class Migration(migrations.Migration):
    dependencies = [("cdp", "0003_profile_sequence")]

    operations = [
        migrations.RunSQL(
            sql=FORWARD + "".join(guards(table) for table in TABLES),
            reverse_sql="".join(unguard(table) for table in TABLES) + "DROP FUNCTION cdp_refuse_change();",
        )
    ]
