"""What happened to one person, newest first: visits, orders, consents, decisions about who they are."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.utils import timezone

from cdp.screen.reading import rows
from cdp.screen.words import money

KINDS = ("orders", "consent", "identity", "visits")
SHOWN = 60
MOST = 960


@dataclass(frozen=True, slots=True)
class Moment:
    """One line. ``mark`` names its dot: order, consent, identity or empty."""

    at: dt.datetime
    title: str
    detail: str
    end: str
    mark: str


def timeline_read(profile_no: int, identifier_nos: list[int], kind: str, limit: int, currency: str) -> list[Moment]:
    """At most ``limit`` moments of the chosen kind (all when empty), newest first: one statement a kind."""
    found: list[Moment] = []
    given = {"profile_no": profile_no, "numbers": identifier_nos, "limit": limit}
    if kind in ("", "orders"):
        found += (order_moment(row, currency) for row in rows(ORDERS, given))
    if kind in ("", "visits"):
        found += (visit_moment(row, currency) for row in rows(VISITS, given))
    if kind in ("", "consent"):
        found += (
            Moment(
                at,
                f"Consent {action}: {title.lower()}",
                ", ".join(filter(None, [method.replace("_", " "), notice and f"notice {notice}"])),
                "",
                "consent",
            )
            for at, action, title, method, notice in rows(CONSENTS, given)
        )
    if kind in ("", "identity"):
        found += (
            Moment(at, IDENTITY_WORDS[what], reason, "", "identity") for at, what, reason in rows(DECISIONS, given)
        )
    found.sort(key=lambda moment: moment.at, reverse=True)
    return found[:limit]


def days_of(moments: list[Moment]) -> Iterator[tuple[dt.date, list[Moment]]]:
    """Moments by day of the workspace's time zone."""
    for day, inside in groupby(moments, key=lambda moment: timezone.localtime(moment.at).date()):
        yield day, list(inside)


def order_moment(row: tuple[Any, ...], currency: str) -> Moment:
    at, amount, order_currency, items, status, order_id = row
    words = {"completed": "Order completed", "refunded": "Order refunded", "cancelled": "Order cancelled"}[status]
    parts = [
        f"{items} {'item' if items == 1 else 'items'}" if items else "",
        money(amount, order_currency or currency, 2),
    ]
    return Moment(at, words, ", ".join(filter(None, parts)), f"order {order_id}", "order")


def visit_moment(row: tuple[Any, ...], currency: str) -> Moment:
    at, kind, name, amount, event_currency, source = row
    title = name or kind.capitalize()
    detail = money(amount, event_currency or currency, 2) if amount is not None else ""
    return Moment(at, title, detail, f"{source or ''} · {timezone.localtime(at):%H:%M}".lstrip(" ·"), "")


IDENTITY_WORDS = {
    "created": "Became known here",
    "linked": "Identifier joined",
    "merged": "Joined with another person",
    "unmerged": "Parted from another person",
    "demoted": "An identifier gave way",
    "blocked": "An identifier was held back",
}
ORDERS = """
SELECT ordered_at, amount, currency, items, status, order_id FROM cdp_order
WHERE identifier_no = ANY(%(numbers)s) ORDER BY ordered_at DESC LIMIT %(limit)s
"""
VISITS = """
SELECT e.occurred_at, e.kind, e.name, e.amount, e.currency, s.title FROM cdp_event e LEFT JOIN cdp_source s USING (source_no)
WHERE e.identifier_no = ANY(%(numbers)s) AND e.order_id IS NULL ORDER BY e.occurred_at DESC LIMIT %(limit)s
"""
CONSENTS = """
SELECT r.occurred_at, r.action, p.title, r.method, r.notice_version FROM cdp_consentrecord r
JOIN cdp_purpose p ON p.id = r.purpose_id
WHERE r.identifier_no = ANY(%(numbers)s) ORDER BY r.occurred_at DESC LIMIT %(limit)s
"""
DECISIONS = """
SELECT decided_at, kind, reason FROM cdp_identitydecision
WHERE profile_no = %(profile_no)s OR other_profile_no = %(profile_no)s ORDER BY decided_at DESC LIMIT %(limit)s
"""
