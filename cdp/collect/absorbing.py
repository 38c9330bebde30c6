"""What a call does once somebody looks at it: people, events, orders, traits and consents, in one transaction.

The tracking API's inbox and the file import both come through here, so that a purchase means the same whichever way it came.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.conf import settings

from cdp.collect.consenting import calls_consent
from cdp.collect.messages import Message
from cdp.collect.order_facts import Money, OrderFact, money_read, order_fact_read
from cdp.collect.ordering import orders_apply
from cdp.collect.rejects import NewReject, rejects_record
from cdp.collect.selectors import source_kinds
from cdp.core.errors import Problem, RejectedError
from cdp.core.ids import IdentifierNo, ProfileNo
from cdp.events.inbox import event_names_note
from cdp.events.locks import ledger_write_lock
from cdp.events.records import NewEvent
from cdp.events.services import events_append
from cdp.identity.records import Observation, Resolution
from cdp.identity.selectors import profile_find
from cdp.identity.services import identifiers_resolve, profiles_merge
from cdp.profiles.services import traits_write
from cdp.profiles.trait_values import TraitRow, traits_flatten

# Stored with the event, since attribution asks for them; IP address, user agent and traits are not.
CONTEXT_KEPT = ("campaign", "page", "referrer", "locale", "app", "os", "library")
IDENTIFIER_TRAITS = ("email", "phone")
# Sources whose key is a secret of a server; a page's key is public and must not join two known people.
TRUSTED_KINDS = frozenset({"server", "file"})
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Call:
    """A checked call on its way in. ``is_event`` False leaves no event behind (profiles from a file)."""

    source_no: int
    message: Message
    received_at: dt.datetime
    sample: bytes = b""
    is_event: bool = True


@dataclass(frozen=True, slots=True)
class Resolved:
    """A call, whose it is, and what a track call says of money."""

    call: Call
    profile_no: ProfileNo
    identifier_no: IdentifierNo
    money: Money | None


@dataclass(slots=True)
class Absorbed:
    """What became of a chunk; ``problems`` are (position, problem, whether the call itself was refused)."""

    events: int = 0
    orders: int = 0
    traits: int = 0
    consents: int = 0
    problems: list[tuple[int, Problem, bool]] = field(default_factory=list)

    @property
    def refused(self) -> set[int]:
        """Positions of calls that had no effect."""
        return {position for position, _, is_refused in self.problems if is_refused}


def calls_absorb(calls: Sequence[Call], now: dt.datetime) -> Absorbed:
    """Store every effect of ``calls`` (at most 5,000), in the caller's transaction. Deduplicate before.

    What is wrong with one call is in ``problems`` and stops no other; anything raised means that nothing may be committed.
    """
    done = Absorbed()
    if not calls:
        return done
    ledger_write_lock()
    resolutions = identifiers_resolve(_observations(calls, done, now), now)
    resolved: dict[int, Resolved] = {}
    for position, (call, found) in enumerate(zip(calls, resolutions, strict=True)):
        owner = _owner(position, call, found, done)
        if owner is not None:
            resolved[position] = owner
    done.traits = _traits_store(resolved, done)
    currency = settings.CONFIG.cdp_currency
    events = [_event(each, currency) for each in resolved.values() if each.call.is_event]
    done.events = len(events_append(events))
    names = {each.name: each.kind for each in events if each.name}
    if names:
        event_names_note(names, now)
    done.orders = _orders_store(resolved, done, currency)
    done.consents = calls_consent(
        [
            (each.call.message, each.identifier_no, each.call.source_no, each.call.received_at)
            for each in resolved.values()
        ]
    )
    return done


def problems_record(calls: Sequence[Call], done: Absorbed, now: dt.datetime, *, run_no: int | None = None) -> int:
    """Keep what ``calls_absorb`` found wrong, with the samples of refused calls; nothing of an erased person."""
    return rejects_record(
        (
            NewReject(
                calls[position].source_no,
                problem,
                calls[position].sample if is_refused and problem.code != "erased" else b"",
                message_id=calls[position].message.message_id,
                run_no=run_no,
                is_kept=not is_refused,
                holds_key=is_refused,
            )
            for position, problem, is_refused in done.problems
        ),
        now,
    )


def person_traits(message: Message) -> dict[str, Any]:
    """What the call says of the person: top-level traits of identify, and ``context.traits`` of any call."""
    stamped = message.context.get("traits")
    found: dict[str, Any] = dict(stamped) if isinstance(stamped, dict) else {}
    if message.type == "identify":
        found |= message.traits
    return found


def identifiers_of(message: Message) -> list[tuple[str, object]]:
    """Every identifier in a call, as (type, raw value)."""
    found: list[tuple[str, object]] = []
    if message.user_id is not None:
        found.append(("user_id", message.user_id))
    if "traits" in message.context or message.traits:
        traits = person_traits(message)
        found.extend((key, traits[key]) for key in IDENTIFIER_TRAITS if traits.get(key) not in (None, ""))
    external = message.context.get("externalIds")
    if isinstance(external, list):
        found.extend(("external_id", e["id"]) for e in external[:5] if isinstance(e, dict) and e.get("id"))
    device = message.context.get("device")
    if isinstance(device, dict) and device.get("id"):
        found.append(("device_id", device["id"]))
    if message.anonymous_id is not None:
        found.append(("anonymous_id", message.anonymous_id))
    return found


def _observations(calls: Sequence[Call], done: Absorbed, now: dt.datetime) -> list[Observation]:
    kinds: Mapping[int, str] | None = None
    made = []
    for position, call in enumerate(calls):
        identifiers = identifiers_of(call.message)
        if call.message.type == "alias":
            kinds = source_kinds() if kinds is None else kinds
            is_trusted = kinds.get(call.source_no) in TRUSTED_KINDS
            identifiers += _alias_identifiers(position, call, done, now, is_trusted=is_trusted)
        made.append(Observation(tuple(identifiers), call.source_no, call.message.message_id, call.message.timestamp))
    return made


def _alias_identifiers(
    position: int, call: Call, done: Absorbed, now: dt.datetime, *, is_trusted: bool
) -> list[tuple[str, object]]:
    """An earlier anonymous id is one more identifier. An earlier account is another person, joined on a server's word only."""
    message = call.message
    known = profile_find("user_id", message.previous_id)
    if known is None:
        return [("anonymous_id", message.previous_id)]
    if not is_trusted:
        done.problems.append(
            (
                position,
                Problem("previousId", "alias", "Two accounts are joined by a server source or by hand only."),
                False,
            )
        )
        return []
    winner = profile_find("user_id", message.user_id)
    if winner is not None and winner != known:
        profiles_merge(winner, known, "alias", f"source:{call.source_no}", now)
    elif winner is None:
        done.problems.append(
            (position, Problem("userId", "alias", "The new account is not known yet; identify it first."), False)
        )
    return []


def _owner(position: int, call: Call, found: Resolution, done: Absorbed) -> Resolved | None:
    if found.profile_no is None or found.identifier_no is None:
        nobody = [Problem("userId", "required", "No identifier could be used.")]
        done.problems.extend((position, problem, True) for problem in found.rejected or nobody)
        return None
    done.problems.extend((position, problem, False) for problem in found.rejected)
    money = money_read(call.message.properties) if call.message.type == "track" else None
    return Resolved(call, found.profile_no, found.identifier_no, money)


def _traits_store(resolved: Mapping[int, Resolved], done: Absorbed) -> int:
    rows: list[TraitRow] = []
    positions: list[int] = []
    for position, each in resolved.items():
        message = each.call.message
        if message.type != "identify":
            continue
        try:
            flat = traits_flatten(person_traits(message))
        except RejectedError as error:
            done.problems.append((position, Problem(error.field, error.code, error.message), False))
            continue
        for key, value in flat.items():
            if key not in IDENTIFIER_TRAITS:
                rows.append(TraitRow(each.identifier_no, key, value, each.call.source_no, message.timestamp))
                positions.append(position)
    written = traits_write(rows)
    done.problems.extend((positions[row], problem, False) for row, problem in written.rejected)
    return written.changed


def _event(each: Resolved, currency: str) -> NewEvent:
    call, message, money = each.call, each.call.message, each.money
    properties: dict[str, Any]
    match message.type:
        case "identify" | "alias":
            properties = {}  # traits live with the person, ids are encrypted; neither is copied into the files
        case "group":
            properties = {"group_id": message.group_id, "traits": message.traits}
        case _:
            properties = dict(message.properties)
    kept = {key: message.context[key] for key in CONTEXT_KEPT if key in message.context}
    if kept and "context" not in properties:
        properties["context"] = kept
    amount = money.amount if money else None
    return NewEvent(
        source_no=call.source_no,
        message_id=message.message_id,
        kind=message.type,
        name=message.name,
        occurred_at=message.timestamp,
        received_at=call.received_at,
        identifier_no=each.identifier_no,
        profile_no=each.profile_no,
        order_id=money.order_id if money else None,
        amount=amount,
        currency=(money.currency if money else None) or (None if amount is None else currency),
        properties=_encoder.encode(properties),
    )


def _orders_store(resolved: Mapping[int, Resolved], done: Absorbed, currency: str) -> int:
    facts: list[tuple[int, OrderFact]] = []
    for position, each in resolved.items():
        message = each.call.message
        if each.money is None:
            continue
        try:
            fact = order_fact_read(
                message.name,
                message.properties,
                each.money,
                source_no=each.call.source_no,
                identifier_no=each.identifier_no,
                occurred_at=message.timestamp,
                default_currency=currency,
            )
        except RejectedError as error:
            done.problems.append((position, Problem(error.field, error.code, error.message), False))
            continue
        if fact is not None:
            facts.append((position, fact))
    changed, problems = orders_apply([fact for _, fact in facts])
    done.problems.extend((facts[row][0], problem, False) for row, problem in problems)
    return changed
