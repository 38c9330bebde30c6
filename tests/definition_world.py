"""A small world for the segment language: a catalogue, people with events, and both engines beside each other."""

import datetime as dt
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import ibis
import pyarrow as pa
from hypothesis import strategies as st

from segments.definition.catalogue import EVENT_FIELDS, PROFILE_FIELDS, Catalogue, Field, SegmentRef
from segments.definition.compile import EngineTables, definition_compile
from segments.definition.evaluate import Person
from segments.definition.lower import Moment
from segments.definition.nodes import CoreNode
from segments.definition.parse import CONSENT_STATES
from segments.definition.validate import MEASURE_OPERATORS, OPERATORS_OF

ZONE = ZoneInfo("Europe/Paris")
AS_OF = dt.datetime(2026, 11, 23, 11, 30, tzinfo=dt.UTC)
NOW = AS_OF.replace(tzinfo=None)
TEXTS = ("FR", "DE", "Émile", "a.b", "x\ny", "it's; DROP TABLE profiles--", "%", "")
NUMBERS = (-3, 0, 1, 2, 2.5, 7, 120, 0.1, 99.9999)

_TRAITS = {
    "country": ("text", "t_country", pa.string()),
    "age": ("number", "t_age", pa.float64()),
    "score": ("number", "rfm__score", pa.int32()),
    "ltv.predicted_365d_amount": ("number", "ltv__predicted_365d_amount", pa.decimal128(18, 2)),
    "is_vip": ("boolean", "t_is_vip", pa.bool_()),
    "signed_up_at": ("date", "t_signed_up_at", pa.timestamp("us")),
    "birthday": ("date", "t_birthday", pa.date32()),
    "tags": ("text_list", "t_tags", pa.list_(pa.string())),
}
_PROPERTIES = {
    "category": ("text", "p_category", pa.string()),
    "value": ("number", "p_value", pa.decimal128(18, 4)),
    "is_gift": ("boolean", "p_is_gift", pa.bool_()),
    "ships_on": ("date", "p_ships_on", pa.date32()),
}
EVENTS = ("Order Completed", "Product Viewed")
CATALOGUE = Catalogue(
    traits={key: Field(key, key, kind, column) for key, (kind, column, _) in _TRAITS.items()}  # type: ignore[arg-type]
    | {field.key: field for field in PROFILE_FIELDS}
    | {"never_seen": Field("never_seen", "Never seen", "text", "t_never_seen")},
    properties={key: Field(key, key, kind, column) for key, (kind, column, _) in _PROPERTIES.items()}  # type: ignore[arg-type]
    | {field.key: field for field in EVENT_FIELDS}
    | {"never_sent": Field("never_sent", "Never sent", "number", "p_never_sent")},
    events=frozenset(EVENTS),
    purposes={"advertising": "Advertising", "email_marketing": "Email marketing"},
    segments={
        "recent_buyers": SegmentRef(7, "Recent buyers"),
        "champions": SegmentRef(8, "Champions", frozenset({"recent_buyers"})),
        "old": SegmentRef(9, "Old", is_archived=True),
    },
)
MOMENT = Moment(AS_OF, ZONE, CATALOGUE)

PROFILE_SCHEMA = pa.schema(
    [
        ("profile_no", pa.int64()),
        ("profile_id", pa.string()),
        ("first_seen_at", pa.timestamp("us")),
        ("last_seen_at", pa.timestamp("us")),
        ("is_identified", pa.bool_()),
        *((column, kind) for _, column, kind in _TRAITS.values()),
        ("c_advertising", pa.string()),
        ("c_email_marketing", pa.string()),
    ]
)
EVENT_SCHEMA = pa.schema(
    [
        ("event_no", pa.int64()),
        ("profile_no", pa.int64()),
        ("name", pa.string()),
        ("occurred_at", pa.timestamp("us")),
        ("order_id", pa.string()),
        ("amount", pa.decimal128(18, 4)),
        ("currency", pa.string()),
        *((column, kind) for _, column, kind in _PROPERTIES.values()),
    ]
)


def definition(*conditions: dict[str, Any], kind: str = "all") -> dict[str, Any]:
    """A whole definition as JSON."""
    return {"version": 1, "where": {"type": kind, "conditions": list(conditions)}}


def trait(key: str, operator: str, value: Any = None) -> dict[str, Any]:
    """A trait row; without a value when it is None."""
    return {"type": "trait", "trait": key, "operator": operator} | ({} if value is None else {"value": value})


def event(name: str = "Order Completed", operator: str = "at_least", value: Any = 1, **more: Any) -> dict[str, Any]:
    """An event row."""
    return {"type": "event", "event": name, "operator": operator, "value": value, **more}


def person(
    number: int = 1, *, events: Sequence[dict[str, Any]] = (), segments: Sequence[int] = (), **columns: Any
) -> Person:
    """A person by number, with columns as the view ``profiles`` names them."""
    full: dict[str, Any] = {name: columns.get(name) for name in PROFILE_SCHEMA.names} | {"profile_no": number}
    full["profile_id"] = str(uuid.UUID(int=number))
    rows = [{name: row.get(name) for name in EVENT_SCHEMA.names} for row in events]
    return Person(full["profile_id"], full, rows, frozenset(segments))


def happened(name: str = "Order Completed", days_ago: float = 1, **columns: Any) -> dict[str, Any]:
    """An event some days before ``AS_OF``; ``occurred_at`` overrides."""
    at = columns.pop("occurred_at", NOW - dt.timedelta(days=days_ago))
    amount = columns.pop("amount", None)
    decimals = {"amount": None if amount is None else Decimal(str(amount))}
    return {"name": name, "occurred_at": at, **decimals, **columns}


def world_open(people: Sequence[Person]) -> tuple[duckdb.DuckDBPyConnection, EngineTables]:
    """A DuckDB with these people as the three views, and the views as Ibis tables."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("SET TimeZone = 'UTC'")
    numbers = [one.columns["profile_no"] for one in people]
    tables = {
        "profiles": pa.Table.from_pylist([dict(one.columns) for one in people], PROFILE_SCHEMA),
        "events": pa.Table.from_pylist(
            [{**row, "profile_no": no} for one, no in zip(people, numbers, strict=True) for row in one.events],
            EVENT_SCHEMA,
        ),
        "memberships": pa.table(
            {
                "segment_no": pa.array([s for one in people for s in one.segment_nos], pa.int64()),
                "profile_no": pa.array(
                    [n for one, n in zip(people, numbers, strict=True) for _ in one.segment_nos], pa.int64()
                ),
            }
        ),
    }
    for name, table in tables.items():
        connection.register(name, table)
    built = {name: ibis.table(ibis.Schema.from_pyarrow(table.schema), name=name) for name, table in tables.items()}
    return connection, EngineTables(**built)


def members(core: CoreNode, connection: duckdb.DuckDBPyConnection, tables: EngineTables) -> set[int]:
    """Profile numbers that DuckDB finds."""
    statement = str(ibis.to_sql(definition_compile(core, tables), dialect="duckdb"))
    rows = [row[0] for row in connection.execute(statement).fetchall()]
    assert len(rows) == len(set(rows)), "a member came twice"
    return set(rows)


# --- random rules and people -----------------------------------------------------------------------------------------


def _naive(text: str) -> dt.datetime:
    """A time as the views hold it."""
    return dt.datetime.fromisoformat(text)


_texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4))
_numbers = st.one_of(st.sampled_from(NUMBERS), st.integers(-5, 200))
_days = st.dates(dt.date(2025, 10, 1), dt.date(2026, 12, 1))
_amounts = st.decimals(-5, 200, places=4)
_times = st.one_of(
    st.datetimes(_naive("2025-10-01"), _naive("2026-12-01")),
    # the edges of local days, also where the clock changes
    st.sampled_from([NOW, _naive("2026-11-15 22:59:59.999999"), _naive("2026-11-15 23:00")]),
    st.sampled_from([_naive("2026-03-28 23:00"), _naive("2026-03-29 22:00"), _naive("2026-10-24 22:00")]),
)


def _values_of(kind: str) -> st.SearchStrategy[Any]:
    return {
        "text": _texts,
        "number": _numbers,
        "boolean": st.booleans(),
        "date": _days.map(dt.date.isoformat),
        "text_list": _texts,
    }[kind]


@st.composite
def _tested(draw: st.DrawFn, kind: str, operators: Sequence[str]) -> dict[str, Any]:
    operator = draw(st.sampled_from(list(operators)))
    one = _values_of(kind)
    if operator in {"is_set", "is_not_set", "is_true", "is_false"}:
        return {"operator": operator}
    if operator == "between":
        return {"operator": operator, "value": sorted([draw(one), draw(one)])}
    if operator in {"in", "not_in", "contains_any", "contains_all"}:
        return {"operator": operator, "value": draw(st.lists(one, min_size=1, max_size=3))}
    if operator in {"in_last_days", "not_in_last_days"}:
        return {"operator": operator, "value": draw(st.integers(1, 400))}
    if operator == "matches":
        return {
            "operator": operator,
            "value": draw(st.sampled_from(["^F", "E$", ".", r"\d", "(?i)émile", "x.y", "a|D"])),
        }
    return {"operator": operator, "value": draw(one)}


@st.composite
def _trait_rows(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(list(CATALOGUE.traits.values())))
    return {"type": "trait", "trait": field.key} | draw(_tested(field.value_type, OPERATORS_OF[field.value_type]))


@st.composite
def _windows(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["ever", "days", "hours", "between_days_ago", "dates", "from", "to"]))
    if kind in {"days", "hours"}:
        return {"type": "last", kind: draw(st.integers(1, 400))}
    if kind == "between_days_ago":
        end = draw(st.integers(0, 200))
        return {"type": kind, "start_days": end + draw(st.integers(1, 200)), "end_days": end}
    if kind in {"from", "to"}:
        return {"type": "dates", kind: draw(_days).isoformat()}
    if kind == "dates":
        start = draw(_days)
        return {
            "type": kind,
            "from": start.isoformat(),
            "to": (start + dt.timedelta(days=draw(st.integers(1, 99)))).isoformat(),
        }
    return {"type": "ever"}


@st.composite
def _event_rows(draw: st.DrawFn) -> dict[str, Any]:
    where = []
    for field in draw(st.lists(st.sampled_from(list(CATALOGUE.properties.values())), max_size=2)):
        where.append({"property": field.key} | draw(_tested(field.value_type, OPERATORS_OF[field.value_type])))
    function = draw(
        st.sampled_from(["count", "count", "distinct_days", "sum", "average", "minimum", "maximum", "distinct"])
    )
    aggregate = {"function": function}
    if function == "distinct":
        aggregate["property"] = draw(st.sampled_from(list(CATALOGUE.properties)))
    elif function not in {"count", "distinct_days"}:
        aggregate["property"] = draw(st.sampled_from(["amount", "value", "never_sent"]))
    counts = function in {"count", "distinct_days", "distinct"}
    low = draw(st.integers(-1, 4)) if counts else draw(_numbers)
    operator = draw(st.sampled_from(list(MEASURE_OPERATORS)))
    value = [low, low + draw(st.integers(0, 50))] if operator == "between" else low
    row = {"type": "event", "event": draw(st.sampled_from(EVENTS)), "where": where, "aggregate": aggregate}
    return row | {"operator": operator, "value": value, "window": draw(_windows())}


_leaves = st.one_of(
    _trait_rows(),
    _event_rows(),
    st.sampled_from(["recent_buyers", "champions"]).map(lambda key: {"type": "segment", "segment": key}),
    st.builds(
        lambda purpose, state: {"type": "consent", "purpose": purpose, "state": state},
        st.sampled_from(["advertising", "email_marketing"]),
        st.sampled_from(CONSENT_STATES),
    ),
    st.builds(
        lambda share, salt: {"type": "sample", "share": share, "salt": salt},
        st.sampled_from([1e-9, 0.1, 0.5, 0.99, 1]),
        st.sampled_from(["spring", "it's", "é"]),
    ),
)


def _groups(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda kind, conditions: {"type": kind, "conditions": conditions},
        st.sampled_from(["all", "any", "none"]),
        st.lists(children, min_size=1, max_size=3),
    )


definitions = _groups(st.recursive(_leaves, _groups, max_leaves=6)).map(lambda where: {"version": 1, "where": where})


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


_events = st.fixed_dictionaries(
    {
        "name": st.sampled_from([*EVENTS, "Page"]),
        "occurred_at": _times,
        "amount": _maybe(_amounts),
        "currency": _maybe(st.sampled_from(["EUR", "USD"])),
        "order_id": _maybe(_texts),
        "p_category": _maybe(_texts),
        "p_value": _maybe(_amounts),
        "p_is_gift": _maybe(st.booleans()),
        "p_ships_on": _maybe(_days),
    }
)
_columns = st.fixed_dictionaries(
    {
        "first_seen_at": _times,
        "last_seen_at": _times,
        "is_identified": st.booleans(),
        "t_country": _maybe(_texts),
        "t_age": _maybe(_numbers.map(float)),
        "rfm__score": _maybe(st.integers(-3, 7)),
        "ltv__predicted_365d_amount": _maybe(st.decimals(0, 200, places=2)),
        "t_is_vip": _maybe(st.booleans()),
        "t_signed_up_at": _maybe(_times),
        "t_birthday": _maybe(_days),
        "t_tags": _maybe(st.lists(_texts, max_size=3)),
        "c_advertising": _maybe(st.sampled_from(CONSENT_STATES)),
        "c_email_marketing": _maybe(st.sampled_from(CONSENT_STATES)),
    }
)


@st.composite
def populations(draw: st.DrawFn) -> list[Person]:
    """Up to eight people with up to five events each."""
    rows = draw(
        st.lists(st.tuples(_columns, st.lists(_events, max_size=5), st.sets(st.sampled_from([7, 8]))), max_size=8)
    )
    return [
        person(number, events=events, segments=sorted(segments), **columns)
        for number, (columns, events, segments) in enumerate(rows, start=1)
    ]
