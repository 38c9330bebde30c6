"""Everything a run has made, by natural keys, as one JSON object: equal for runs that mean the same.

Numbers given out by sequences and random ids differ between runs; they are replaced by what they stand for: an identifier
by its type and blind index, a profile by its strongest identifier. Run as ``python -m tests.kill.dump`` in the run's own
environment; prints {name: sorted rows}.
"""

import hashlib
import json
import sys
import urllib.request
from collections.abc import Iterable
from typing import Any

import django

QUERIES = {
    "identifiers": "SELECT i.key, i.person FROM who i",
    "decisions": """
        SELECT d.kind, d.reason, coalesce(p.person, ''), count(*) FROM cdp_identitydecision d
        LEFT JOIN people p ON p.profile_no = d.profile_no GROUP BY 1, 2, 3""",
    "traits of identifiers": """
        SELECT i.key, t.key, v.value::text FROM cdp_traitvalue v JOIN who i USING (identifier_no)
        JOIN cdp_trait t USING (trait_no)""",
    "traits of people": """
        SELECT person, traits::text, is_identified FROM cdp_profile JOIN people USING (profile_no)""",
    "computed traits": """
        SELECT person, "group", values::text, as_of FROM cdp_computedtraits JOIN people USING (profile_no)""",
    "consent ledger": """
        SELECT i.key, p.key, r.action, r.occurred_at, r.idempotency_key FROM cdp_consentrecord r
        JOIN who i USING (identifier_no) JOIN cdp_purpose p ON p.id = r.purpose_id""",
    "consent": """
        SELECT person, p.key, s.state, s.since, s.expires_at FROM cdp_consentstate s
        JOIN people USING (profile_no) JOIN cdp_purpose p ON p.id = s.purpose_id""",
    "orders": """
        SELECT o.order_id, i.key, o.ordered_at, o.amount, o.currency, o.items, o.status
        FROM cdp_order o JOIN who i USING (identifier_no)""",
    "recent window": """
        SELECT e.message_id, i.key, e.name, e.occurred_at, e.amount FROM cdp_event e JOIN who i USING (identifier_no)""",
    "message keys": "SELECT encode(message_hash, 'hex') FROM cdp_messagekey",
    "inbox": "SELECT message_id FROM cdp_inboxevent",
    "rejects": "SELECT field, code, reason, line FROM cdp_reject",
    # Killed between its last line and its end, a file is read once more: a second row that accepts nothing.
    "imports": """SELECT kind, file_sha256, sum(accepted), max(accepted + duplicates + rejected), max(rejected), state
        FROM cdp_importrun GROUP BY 1, 2, 6""",
    "segments": "SELECT key, state, size, evaluated_version FROM segments_segment",
    "members": """
        SELECT s.key, person, m.version, m.exited_at IS NULL FROM segments_membership m
        JOIN segments_segment s USING (segment_no) JOIN people USING (profile_no)""",
    "model runs": """SELECT "group", state, as_of, method, profiles FROM segments_modelrun WHERE state <> 'failed'""",
    "sent entries": """
        SELECT a.key, c.key, person, e.wanted, e.is_on_list, e.members::text FROM segments_sententry e
        JOIN people USING (profile_no) JOIN segments_audiencetarget t USING (target_no)
        JOIN segments_audience a ON a.audience_no = t.audience_id JOIN segments_connection c ON c.id = t.connection_id""",
}

NAMES = """
CREATE TEMP TABLE who AS SELECT i.identifier_no, i.profile_no, t.priority,
    t.key || ':' || left(encode(i.blind_index, 'hex'), 16) AS key, '' AS person
FROM cdp_identifier i JOIN cdp_identifiertype t ON t.id = i.type_id;
CREATE TEMP TABLE people AS SELECT DISTINCT ON (profile_no) profile_no, key AS person FROM who
ORDER BY profile_no, priority, key;
UPDATE who SET person = p.person FROM people p WHERE p.profile_no = who.profile_no;
CREATE INDEX ON who (identifier_no); CREATE INDEX ON people (profile_no); ANALYZE who; ANALYZE people;
"""


def digest(rows: Iterable[Any]) -> list[str]:
    """Sorted rows as text; equal lists mean equal tables."""
    return sorted("|".join("" if cell is None else str(cell) for cell in row) for row in rows)


def stored_events() -> tuple[list[str], list[str]]:
    """Every event as readers see it, and what the manifest says against what lies in the files."""
    import duckdb

    from cdp.events.models import EventFile
    from cdp.events.reader import events_open
    from cdp.events.store import store_open

    with events_open() as snapshot, duckdb.connect() as duck:
        snapshot.register(duck)
        rows = duck.execute("SELECT message_id, name, occurred_at, amount, order_id FROM events").fetchall()
    wrong = []
    storage = store_open().storage
    for file in EventFile.objects.filter(removed_at=None):
        content = storage.open_local(file.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != file.sha256:
            wrong.append(f"{file.kind} file of {file.rows} rows does not match its manifest row")
    return digest(rows), wrong


def sandbox_lists(address: str) -> list[str]:
    """Digests on every list of the stand-in networks."""
    with urllib.request.urlopen(f"{address}/sandbox/lists") as answer:  # noqa: S310
        return digest([[json.dumps(json.load(answer), sort_keys=True)]])


def main() -> None:
    django.setup()
    from django.db import connection

    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(NAMES)
        for name, sql in QUERIES.items():
            cursor.execute(sql)
            found[name] = digest(cursor.fetchall())
    found["events"], found["files"] = stored_events()
    if len(sys.argv) > 1:
        found["networks"] = sandbox_lists(sys.argv[1])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
