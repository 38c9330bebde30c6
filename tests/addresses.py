"""Where other processes of a test find its database."""

from urllib.parse import quote

from django.db import connection


def database_url() -> str:
    """Address of the database this test is connected to, password included."""
    at = connection.settings_dict
    credentials = quote(str(at["USER"]), safe="")
    if at["PASSWORD"]:
        credentials += ":" + quote(str(at["PASSWORD"]), safe="")
    if str(at["HOST"]).startswith("/"):
        return f"postgresql://{credentials}@/{at['NAME']}?host={quote(str(at['HOST']))}"
    return f"postgresql://{credentials}@{at['HOST']}:{at['PORT'] or 5432}/{at['NAME']}"
