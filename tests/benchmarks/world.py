"""A made-up company of a given size in a scratch database: people, identifiers, consents, events in files, orders.

Loading it is not measured: rows go in by COPY and SQL, event files are written in the form that compaction writes.
"""

import datetime as dt
import secrets
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb
from django.conf import settings
from django.db import connection

from cdp.access.keys import keyring
from cdp.core.crypto import Keyring
from cdp.events.files.layout import bucket_sql, compacted_key
from cdp.events.files.manifest import NewFile, files_add, mark_write, property_types_read
from cdp.events.files.parquet import events_schema, events_write
from cdp.events.models import EventFile, EventName
from cdp.events.store import store_open
from cdp.identity.models import IdentifierType
from cdp.identity.recording import VALUE_CONTEXT

BUCKETS = 16
COUNTRIES = ("US", "DE", "FR", "GB", "ES", "IT", "NL", "SE")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the company is."""

    profiles: int
    events: int


def world_build(size: Size, as_of: dt.datetime) -> None:
    """Fill the current database unless it already holds this many people and events."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cdp_profile")
        people = cursor.fetchone()[0]
    if people != size.profiles:
        _people(size, as_of)
        _identifiers(size)
        _consents(size, as_of)
    if sum(EventFile.objects.filter(removed_at=None).values_list("rows", flat=True)) != size.events:
        _events(size, as_of)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _people(size: Size, as_of: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE cdp_profile, cdp_identifier, cdp_consentstate, cdp_order, cdp_eventfile, cdp_traitvalue, "
            "cdp_erasedidentifier, cdp_identitytombstone, cdp_computedtraits, cdp_profilesnapshot, segments_modelrun"
        )
        cursor.execute(
            """
            INSERT INTO cdp_profile (profile_no, profile_id, created_at, first_seen_at, last_seen_at, updated_at,
                                     change_seq, is_identified, traits)
            SELECT n, gen_random_uuid(), %(at)s, %(at)s, %(at)s, %(at)s, nextval('cdp_profile_change_seq'), true,
                   jsonb_build_object('country', (%(countries)s::text[])[1 + n %% 8], 'first_name', 'N' || n)
            FROM generate_series(1, %(people)s) AS t (n)
            """,
            {"at": as_of - dt.timedelta(days=365), "countries": list(COUNTRIES), "people": size.profiles},
        )
        cursor.execute(
            """
            INSERT INTO cdp_traitvalue (identifier_no, trait_no, value, source_no, set_at)
            SELECT p.profile_no, t.trait_no, to_jsonb(p.traits ->> 'country'), 1, %s
            FROM cdp_profile p, cdp_trait t WHERE t.key = 'country'
            """,
            [as_of - dt.timedelta(days=365)],
        )


def _sealed(task: tuple[int, int, int, Keyring]) -> list[tuple[int, int, str, bytes, bytes]]:
    first, last, people, ring = task
    rows = []
    for n in range(first, last):
        for number, kind, value in ((n, "user_id", f"u{n}"), (people + n, "email", f"person{n}@example.com")):
            sealed = ring.encrypt(value, context=VALUE_CONTEXT)
            rows.append((number, n, kind, ring.blind_index(kind, value), sealed))
    return rows


def _identifiers(size: Size) -> None:
    types = dict(IdentifierType.objects.values_list("key", "pk"))
    step = 50_000
    tasks = [(n, min(n + step, size.profiles + 1), size.profiles, keyring()) for n in range(1, size.profiles + 1, step)]
    connection.ensure_connection()
    copy_sql = "COPY cdp_identifier (identifier_no, type_id, blind_index, value_encrypted, profile_no, source_no) FROM STDIN BINARY"
    with ProcessPoolExecutor(2) as pool, connection.connection.cursor() as cursor, cursor.copy(copy_sql) as copy:
        copy.set_types(["int8", "int8", "bytea", "bytea", "int8", "int8"])
        for rows in pool.map(_sealed, tasks):
            for number, profile_no, kind, digest, sealed in rows:
                copy.write_row((number, types[kind], digest, sealed, profile_no, 1))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('cdp_identifier', 'identifier_no'), %s)", [size.profiles * 2]
        )
        cursor.execute("SELECT setval(pg_get_serial_sequence('cdp_profile', 'profile_no'), %s)", [size.profiles])


def _consents(size: Size, as_of: dt.datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO cdp_consentstate (profile_no, purpose_id, state, since, record_no, is_conflict)
            SELECT n, p.id, CASE WHEN n %% 10 < 7 THEN 'granted' ELSE 'denied' END, %s, 0, false
            FROM generate_series(1, %s) AS t (n), cdp_purpose p WHERE p.key IN ('advertising', 'email_marketing')
            """,
            [as_of - dt.timedelta(days=100), size.profiles],
        )


def _events_sql(size: Size, as_of: dt.datetime) -> str:
    """Skewed activity over 365 days: a tenth are orders. Deterministic by hashing the row number."""
    return f"""
        CREATE TABLE raw AS
        SELECT n AS event_no, 1::BIGINT AS source_no, 'track' AS kind,
               CASE WHEN hash(n, 1) % 10 = 0 THEN 'Order Completed' WHEN hash(n, 1) % 10 < 3 THEN 'Product Added'
                    WHEN hash(n, 1) % 10 < 8 THEN 'Product Viewed' ELSE 'Checkout Started' END AS name,
               TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S}' - to_seconds(1 + hash(n, 2) % (365 * 86400)) AS occurred_at,
               1 + (power((hash(n, 3) % 1000000007) / 1000000007.0, 2) * {size.profiles - 1})::BIGINT
                   AS identifier_no,
               5 + (hash(n, 4) % 20000) / 100 AS price, 'cat' || lpad((hash(n, 5) % 50)::VARCHAR, 2, '0') AS category
        FROM range(1, {size.events} + 1) AS t (n)
    """


def _events(size: Size, as_of: dt.datetime) -> None:
    store, types = store_open(), property_types_read()
    schema = events_schema(types)
    duck = duckdb.connect(config={"memory_limit": "10GB", "threads": 2})
    duck.execute(_events_sql(size, as_of))
    months = [
        row[0]
        for row in duck.execute("SELECT DISTINCT date_trunc('month', occurred_at)::DATE FROM raw ORDER BY 1").fetchall()
    ]
    EventFile.objects.all().delete()
    for name in ("Order Completed", "Product Added", "Product Viewed", "Checkout Started"):
        EventName.objects.get_or_create(name=name, defaults={"kind": "track"})
    files: list[NewFile] = []
    for month in months:
        for bucket in range(BUCKETS):
            table = duck.sql(_bucket_sql(types), params=[month, bucket]).to_arrow_table().cast(schema)
            draft = Path(store.storage.staging) / f"{secrets.token_hex(8)}.parquet"
            facts = events_write(draft, [table], schema)
            key = compacted_key(month, bucket, BUCKETS)
            store.storage.put_file(draft, key)
            files.append(NewFile(key, facts, 0, 0, types, month=month, bucket=bucket, buckets=BUCKETS))
    files_add(files)
    mark_write("flushed", 0, size.events)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('cdp_event_no_seq', %s)", [size.events])
    _orders(duck)


def _bucket_sql(types: dict[str, str]) -> str:
    columns = ", ".join({"category": "category AS p_category"}.get(key, f"NULL AS p_{key}") for key in sorted(types))
    return f"""
        SELECT event_no, source_no, kind, name, occurred_at, occurred_at AS received_at, identifier_no,
               identifier_no AS profile_no,
               CASE WHEN name = 'Order Completed' THEN 'o' || event_no END AS order_id,
               CASE WHEN name = 'Order Completed' THEN price END::DECIMAL(18,4) AS amount,
               CASE WHEN name = 'Order Completed' THEN 'USD' END AS currency, 'm' || event_no AS message_id,
               {columns}, '{{}}' AS properties
        FROM raw WHERE date_trunc('month', occurred_at) = ? AND {bucket_sql("identifier_no", str(BUCKETS))} = ?
        ORDER BY profile_no, occurred_at, event_no
    """


def _order_rows(duck: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
    found = duck.execute("SELECT event_no, identifier_no, occurred_at, price FROM raw WHERE name = 'Order Completed'")
    while rows := found.fetchmany(100_000):
        yield from rows


def _orders(duck: duckdb.DuckDBPyConnection) -> None:
    connection.ensure_connection()
    sql = "COPY cdp_order (source_no, order_id, identifier_no, ordered_at, amount, currency, status) FROM STDIN"
    with connection.connection.cursor() as cursor, cursor.copy(sql) as copy:
        for number, identifier_no, occurred_at, price in _order_rows(duck):
            copy.write_row(
                (
                    1,
                    f"o{number}",
                    identifier_no,
                    occurred_at.replace(tzinfo=dt.UTC),
                    price,
                    settings.CONFIG.cdp_currency,
                    "completed",
                )
            )  # type: ignore[attr-defined]
