"""Everything we hold about one person, for one page: key figures, traits with their source, consent with evidence, segments."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection

from cdp.consent.models import ConsentRecord, ConsentState, Purpose
from cdp.identity.masking import trait_mask
from cdp.profiles.models import ComputedTraits, Trait
from cdp.screen.reading import rows
from segments.activation.models import AudienceTarget, SentEntry

GROUP_WORDS = {
    "rfm": "Computed: RFM",
    "ltv": "Computed: predicted value",
    "cluster": "Computed: clusters",
    "intent": "Computed: intent",
}


@dataclass(frozen=True, slots=True)
class Bought:
    """Orders that stand."""

    orders: int
    days: int
    amount: Decimal
    last_at: dt.datetime | None

    @property
    def mean(self) -> Decimal | None:
        return self.amount / self.orders if self.orders else None


@dataclass(frozen=True, slots=True)
class TraitLine:
    title: str
    value: object
    unit: str
    source: str
    at: dt.datetime
    is_estimate: bool = False


@dataclass(frozen=True, slots=True)
class ConsentLine:
    purpose: Purpose
    state: ConsentState | None
    record: ConsentRecord | None


@dataclass(frozen=True, slots=True)
class HeldBy:
    """One list that holds the person, or that is being told."""

    target: AudienceTarget
    entry: SentEntry
    tone: str
    words: str


def bought_read(identifier_nos: list[int], time_zone: str) -> Bought:
    """From the order ledger, by the person's identifiers."""
    found = rows(
        "SELECT count(*), count(DISTINCT (ordered_at AT TIME ZONE %(zone)s)::date), coalesce(sum(amount), 0), max(ordered_at) "
        "FROM cdp_order WHERE identifier_no = ANY(%(numbers)s) AND status = 'completed'",
        {"numbers": identifier_nos, "zone": time_zone},
    )
    return Bought(*found[0])


def traits_read(identifier_nos: list[int], *, revealed: bool) -> list[TraitLine]:
    """What the person's identifiers said: per trait the latest statement and its source. Personal values are masked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM (SELECT DISTINCT ON (t.trait_no) t.title, v.value #>> '{}', t.unit, "
            "coalesce(s.title, 'by hand'), v.set_at, t.is_personal, t.value_type "
            "FROM cdp_traitvalue v JOIN cdp_trait t USING (trait_no) LEFT JOIN cdp_source s USING (source_no) "
            "WHERE v.identifier_no = ANY(%s) AND v.value <> 'null' "
            'ORDER BY t.trait_no, v.set_at DESC, v.value::text COLLATE "C" DESC) AS latest ORDER BY title',
            [identifier_nos],
        )
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return [
        TraitLine(title, trait_shown(value, value_type, hidden=is_personal and not revealed), unit, source, at)
        for title, value, unit, source, at, is_personal, value_type in found
    ]


def trait_shown(value: str, value_type: str, *, hidden: bool) -> object:
    """A stated value as people read it; dates without their midnight."""
    if hidden:
        return trait_mask(value)
    match value_type:
        case "date":
            return value.removesuffix("T00:00:00Z")
        case "boolean":
            return "yes" if value == "true" else "no"
        case _:
            return value


def computed_read(profile_no: int) -> tuple[dict[str, dict[str, Any]], list[TraitLine]]:
    """Values by group, and the same as lines with title and unit out of the catalogue."""
    groups = {row.group: row for row in ComputedTraits.objects.filter(profile_no=profile_no)}
    catalogue = {trait.key: trait for trait in Trait.objects.filter(is_computed=True)}
    lines = []
    for name in ("rfm", "ltv", "cluster", "intent"):
        row = groups.get(name)
        for key, value in (row.values if row else {}).items():
            trait = catalogue.get(f"{name}.{key}")
            if row is not None and trait is not None and value is not None:
                source = f"{GROUP_WORDS[name]}, run {row.run_no}"
                lines.append(TraitLine(trait.title, value, trait.unit, source, row.as_of, name in ("ltv", "intent")))
    return {name: row.values for name, row in groups.items()}, lines


def consents_read(profile_no: int) -> list[ConsentLine]:
    """Every purpose with what holds and the entry that decided."""
    states = {s.purpose_id: s for s in ConsentState.objects.filter(profile_no=profile_no)}
    records = ConsentRecord.objects.in_bulk([s.record_no for s in states.values()])
    return [
        ConsentLine(purpose, state, records.get(state.record_no) if state else None)
        for purpose in Purpose.objects.all()
        for state in [states.get(purpose.pk)]
    ]


def held_by(profile_no: int) -> list[HeldBy]:
    """Lists at networks, with the wish and what was acknowledged."""
    entries = list(SentEntry.objects.filter(profile_no=profile_no).order_by("target_no"))
    targets = {
        t.target_no: t
        for t in AudienceTarget.objects.filter(target_no__in=[e.target_no for e in entries]).select_related(
            "audience", "connection"
        )
    }
    lines = []
    for entry in (entry for entry in entries if entry.target_no in targets):
        match (entry.wanted, entry.is_on_list):
            case (True, True):
                tone, words = "ok", "Confirmed"
            case (True, False):
                tone, words = "warn", "Refused by the network"
            case (True, _):
                tone, words = "", "Sent, waiting"
            case _:
                tone, words = "warn", "Leaving"
        lines.append(HeldBy(targets[entry.target_no], entry, tone, words))
    return lines
