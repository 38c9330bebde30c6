"""Which column means what? Proposed from the headings, overridden by a mapping file, and told to the person either way.

A mapping file is JSON: {"columns": {"Kundennr": "user_id", "internal": null}, "date_format": "%d.%m.%Y", "decimal_comma": true,
"currency": "EUR", "delimiter": ";"}. Every part is optional; null leaves a column out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cdp.core.errors import RejectedError
from cdp.profiles.trait_values import trait_key_normalise

type Kind = Literal["profiles", "orders", "events", "consents"]

KINDS: tuple[Kind, ...] = ("profiles", "orders", "events", "consents")
IDENTIFIERS = ("user_id", "email", "phone", "external_id", "device_id", "anonymous_id")
# Field: other headings that mean it, in the spelling of ``heading_key``. The field's own name always does.
PEOPLE: dict[str, tuple[str, ...]] = {
    "user_id": (
        "customer_id",
        "customer",
        "client_id",
        "member_id",
        "account_id",
        "customer_number",
        "customer_no",
        "uid",
        "userid",
    ),
    "email": ("email_address", "e_mail", "mail", "customer_email"),
    "phone": ("phone_number", "mobile", "mobile_phone", "telephone", "msisdn", "customer_phone"),
    "external_id": (),
    "device_id": ("idfa", "gaid", "advertising_id"),
    "anonymous_id": ("anonymousid", "cookie_id", "visitor_id"),
}
FIELDS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "profiles": PEOPLE
    | {
        "user_id": (*PEOPLE["user_id"], "id"),
        "updated_at": ("modified_at", "last_modified", "changed_at"),
        "signed_up_at": ("created_at", "registered_at", "joined_at"),
    },
    "orders": PEOPLE
    | {
        "order_id": ("id", "order_number", "order_no", "transaction_id", "invoice_id", "invoice_no"),
        "ordered_at": ("date", "order_date", "created_at", "purchased_at", "purchase_date", "transaction_date", "timestamp", "time"),
        "amount": ("total", "revenue", "price", "total_amount", "order_total", "grand_total", "total_price", "order_value", "dollar_value", "value", "sum"),
        "currency": ("currency_code",),
        "items": ("quantity", "qty", "item_count", "pieces", "number_of_items"),
        "status": ("order_status", "state"),
        "updated_at": ("modified_at", "last_modified", "changed_at"),
    },
    "events": PEOPLE
    | {
        "message_id": ("event_id", "id", "insert_id"),
        "type": ("kind", "event_type"),
        "event": ("event_name", "name", "action"),
        "occurred_at": ("timestamp", "time", "date", "created_at", "event_time", "original_timestamp"),
        "properties": (),
        "traits": (),
        "context": (),
        "previous_id": (),
        "group_id": (),
    },
    "consents": PEOPLE
    | {
        "purpose": ("consent_purpose", "category", "topic"),
        "action": ("status", "state", "consent", "consent_status", "decision"),
        "occurred_at": ("timestamp", "date", "time", "created_at", "consented_at", "consent_date", "updated_at"),
        "method": ("channel",),
        "notice_version": ("policy_version", "version", "text_version"),
        "locale": ("language",),
        "jurisdiction": ("country", "region"),
        "record_id": ("id", "consent_id", "event_id"),
        "url": ("page_url", "form_url"),
        "form": ("form_name",),
    },
}  # fmt: skip
REQUIRED: dict[Kind, tuple[str, ...]] = {
    "profiles": (),
    "orders": ("ordered_at", "amount"),
    "events": ("occurred_at",),
    "consents": ("purpose", "action", "occurred_at"),
}
# What becomes of a column that means none of the fields.
REST: dict[Kind, str] = {"profiles": "trait", "orders": "property", "events": "property", "consents": ""}
_OPTIONS = {"columns", "date_format", "decimal_comma", "currency", "delimiter"}
_WORD_EDGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")
_COUNT = re.compile(r"(number|count|no)_of_\w+")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What each column of one file means: ``fields`` by field, ``traits`` and ``properties`` by key, as column positions."""

    kind: Kind
    fields: dict[str, int]
    traits: dict[str, int] = field(default_factory=dict)
    properties: dict[str, int] = field(default_factory=dict)
    date_format: str = ""
    decimal_comma: bool = False
    currency: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``ImportRun.mapping``; equal exactly when two runs understand a file alike."""
        return asdict(self)

    def lines(self, columns: Sequence[str]) -> list[str]:
        """``column → meaning`` for people, in file order."""
        meanings = {position: name for name, position in self.fields.items()}
        meanings |= {position: f"trait {key}" for key, position in self.traits.items()}
        meanings |= {position: f"property {key}" for key, position in self.properties.items()}
        return [f"{name} → {meanings.get(i, 'left out')}" for i, name in enumerate(columns) if name]


def heading_key(heading: str) -> str:
    """``Order Date``, ``orderDate`` and ``order_date`` are one heading."""
    return _NOT_WORD.sub("_", _WORD_EDGE.sub("_", heading.strip()).lower()).strip("_")


def options_check(raw: object) -> dict[str, Any]:
    """A mapping file's content, its shape checked. Raises RejectedError naming the part."""
    if not isinstance(raw, dict):
        raise RejectedError("The mapping file holds a JSON object.", code="mapping", field="mapping")
    if unknown := sorted(set(raw) - _OPTIONS):
        raise RejectedError(
            f"The mapping file knows {', '.join(sorted(_OPTIONS))}, not {', '.join(unknown)}.",
            code="mapping",
            field="mapping",
        )
    columns = raw.get("columns", {})
    if not isinstance(columns, dict) or not all(v is None or isinstance(v, str) for v in columns.values()):
        raise RejectedError('"columns" maps a heading to a field, or to null.', code="mapping", field="mapping.columns")
    for name, wanted in (("date_format", str), ("decimal_comma", bool), ("currency", str), ("delimiter", str)):
        if name in raw and not isinstance(raw[name], wanted):
            raise RejectedError(f'"{name}" must be a {wanted.__name__}.', code="mapping", field=f"mapping.{name}")
    if "delimiter" in raw and len(raw["delimiter"]) != 1:
        raise RejectedError('"delimiter" is one character.', code="mapping", field="mapping.delimiter")
    return raw


def mapping_make(kind: Kind, columns: Sequence[str], options: Mapping[str, Any] | None = None) -> ColumnMapping:
    """The meaning of every column. Raises RejectedError when a required one is missing, naming those that were found."""
    options = options or {}
    given: dict[str, str | None] = options.get("columns", {})
    if missing := [name for name in given if name not in columns]:
        raise RejectedError(
            f"The mapping names columns that the file lacks: {', '.join(missing)}. It has: {', '.join(columns)}.",
            code="mapping",
            field="mapping.columns",
        )
    fields, rest = _fields_find(kind, columns, given)
    traits, properties = _rest_place(kind, columns, given, rest)
    _required_check(kind, columns, fields)
    return ColumnMapping(
        kind,
        fields,
        traits,
        properties,
        str(options.get("date_format", "")),
        bool(options.get("decimal_comma", False)),
        str(options.get("currency", "")).upper(),
    )


def _fields_find(
    kind: Kind, columns: Sequence[str], given: Mapping[str, str | None]
) -> tuple[dict[str, int], list[int]]:
    known = FIELDS[kind]
    fields: dict[str, int] = {}
    for position, name in enumerate(columns):
        wanted = given.get(name)
        if wanted in known:
            if wanted in fields:
                raise RejectedError(f"Two columns are mapped to {wanted}.", code="mapping", field="mapping.columns")
            fields[wanted] = position
    left = [i for i, name in enumerate(columns) if name and name not in given]
    keys = {i: heading_key(columns[i]) for i in left}
    for target, synonyms in known.items():
        for word in (target, *synonyms):
            found = next((i for i in left if keys[i] == word and i not in fields.values()), None)
            if target not in fields and found is not None:
                fields[target] = found
    if kind == "orders" and "items" not in fields:
        counted = next((i for i in left if _COUNT.fullmatch(keys[i]) and i not in fields.values()), None)
        if counted is not None:
            fields["items"] = counted
    return fields, [i for i, name in enumerate(columns) if name and i not in fields.values()]


def _rest_place(
    kind: Kind, columns: Sequence[str], given: Mapping[str, str | None], rest: Sequence[int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Columns that are no field: a trait of the person, a property of the event, or nothing."""
    traits: dict[str, int] = {}
    properties: dict[str, int] = {}
    for position in rest:
        name = columns[position]
        if name in given and given[name] is None:
            continue
        role, _, key = (given.get(name) or "").partition(".")
        if name in given and role not in {"trait", "property"}:
            raise RejectedError(
                f"{given[name]!r} is no field of {kind}. Use one of {', '.join(FIELDS[kind])}, trait.<key>, property.<key> or null.",
                code="mapping",
                field="mapping.columns",
            )
        role = role or REST[kind]
        if role == "trait":
            traits[trait_key_normalise(key or name)] = position
        elif role == "property":
            properties[key or heading_key(name) or name] = position
    return traits, properties


def _required_check(kind: Kind, columns: Sequence[str], fields: Mapping[str, int]) -> None:
    missing = [name for name in REQUIRED[kind] if name not in fields]
    if not any(name in fields for name in IDENTIFIERS):
        missing.append("an identifier (" + ", ".join(IDENTIFIERS[:3]) + " …)")
    if missing:
        raise RejectedError(
            f"{kind} need a column for {' and for '.join(missing)}. The file has: {', '.join(filter(None, columns))}. "
            "Rename a column, or name it in --mapping.",
            code="header",
            field="header",
        )
