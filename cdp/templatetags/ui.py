"""Numbers, times, icons and pills in templates. The clock is read here: a template is an edge."""

import datetime as dt
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from cdp.core.time import utc_now
from cdp.screen import words
from cdp.screen.icons import ICONS

register = template.Library()
TONE_ICONS = {"ok": "check", "warn": "alert", "bad": "stop"}


class Named(Protocol):
    def get_full_name(self) -> str: ...
    def get_username(self) -> str: ...


def as_number(value: object) -> words.Number | None:
    if isinstance(value, bool) or value in (None, ""):
        return None
    if isinstance(value, int | float | Decimal):
        return value
    return Decimal(str(value))


@register.filter
def number(value: object, digits: int = 0) -> str:
    return words.number(as_number(value), digits)


@register.filter
def share(value: object, digits: int = 1) -> str:
    return words.share(as_number(value), digits)


@register.filter
def money(value: object, digits: int = 0) -> str:
    return words.money(as_number(value), settings.CONFIG.cdp_currency, digits)


@register.filter
def signed(value: object) -> str:
    return words.signed(as_number(value))


@register.filter
def factor(value: object, digits: int = 2) -> str:
    return words.factor(as_number(value), digits)


@register.filter
def duration(seconds: object) -> str:
    return words.duration(as_number(seconds))


@register.filter
def ago(moment: dt.datetime | None) -> str:
    return words.ago(moment, utc_now())


@register.filter
def day(moment: dt.datetime | dt.date | None) -> str:
    local = timezone.localtime(moment) if isinstance(moment, dt.datetime) else moment
    return words.day(local, timezone.localdate())


@register.filter
def clock(moment: dt.datetime | None, seconds: str = "") -> str:
    """14:02, or with the day when it is not today; with "s" the seconds too."""
    if moment is None:
        return words.NOTHING
    local = timezone.localtime(moment)
    text = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    return text if local.date() == timezone.localdate() else f"{words.day(local, timezone.localdate())}, {text}"


@register.filter
def short_id(profile_id: UUID | str) -> str:
    return words.short_id(profile_id)


@register.filter
def percent(value: object) -> str:
    """A share of one as a CSS width: 43.2 (with a point, whatever the locale)."""
    return f"{max(0.0, min(100.0, float(as_number(value) or 0) * 100)):.2f}"


@register.filter
def initials(user: Named) -> str:
    parts = user.get_full_name().split() or [user.get_username()]
    return "".join(part[0] for part in parts[:2]).upper()


@register.filter
def item(mapping: Any, key: object) -> Any:
    """``mapping[key]`` or nothing."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    return format_html(
        '<svg class="icon {}" viewBox="0 0 16 16" aria-hidden="true"><path d="{}"/></svg>', size, ICONS[name]
    )


@register.simple_tag
def pill(tone: str, text: object) -> SafeString:
    """A state. Tone ok, warn, bad, brand or empty; the first three carry an icon, so that colour is not alone."""
    drawing = icon(TONE_ICONS[tone]) if tone in TONE_ICONS else mark_safe("")
    return format_html('<span class="pill {}">{}{}</span>', tone, drawing, text)


@register.simple_tag
def menu_badge(entry: dict[str, Any], shell: Any) -> SafeString:
    """The number behind a menu entry, when the frame knows one: (text, tone, full words)."""
    found = getattr(shell, "badges", {}).get(entry.get("badge_key"))
    if not found:
        return mark_safe("")
    text, tone, full = found
    return format_html('<span class="badge {}" title="{}">{}</span>', tone, full, text)


@register.filter
def removal_share(sync: Any) -> float | None:
    """Share of the list that a run would remove."""
    return sync.to_remove / sync.on_list_before if sync.on_list_before else None


@register.filter
def measure(value: object, unit: str) -> str:
    """One figure of a report card in its unit: currency, ratio, share, orders or score."""
    figure = as_number(value)
    match unit:
        case "currency":
            return money(figure, 2)
        case "ratio":
            return words.factor(figure)
        case "share":
            return words.share(figure)
        case "score":  # models differ in the third digit, and small scores in the fourth
            return words.number(figure, 4 if figure is not None and -0.1 < figure < 0.1 else 3)
        case _:
            return words.number(figure, 2)


@register.filter
def parameter(value: object) -> str:
    """A model's number with enough digits to be compared."""
    figure = as_number(value)
    if figure is None:
        return words.NOTHING
    return (
        words.number(figure) if isinstance(figure, int) else words.number(figure, 6 if -1_000 < figure < 1_000 else 2)
    )


@register.filter
def cut_underscores(text: str) -> str:
    return str(text).replace("_", " ")


@register.filter
def days_since(moment: dt.datetime) -> str:
    """Whole days of the workspace's time zone: today, 1 day, 100 days."""
    days = (timezone.localdate() - timezone.localtime(moment).date()).days
    return "today" if days <= 0 else words.counted(days, "day", "days")


@register.filter
def trait_value(line: Any) -> str:
    """A trait's value in its unit."""
    value = line.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        match line.unit:
            case "currency":
                return money(value, 2)
            case "share":
                return words.share(value)
            case _:
                return words.number(value, 0 if float(value).is_integer() else 2)
    return str(value)


CAUSES = {
    "joined": "Joined the segment",
    "left": "Left the segment",
    "rule_changed": "The rule changed",
    "consent_withdrawn": "Consent withdrawn",
    "suppressed": "Suppressed",
    "erased": "Erased",
    "identity_changed": "Merged into another person, or parted",
    "held_out": "Held out",
}


@register.filter
def cause_words(cause: str) -> str:
    """Why a person joins or leaves a list."""
    return CAUSES.get(cause, cause.replace("_", " ").capitalize())


@register.filter
def outcome_words(line: Any) -> str:
    """Accepted, Refused: invalid email, Kept back at sending: consent withdrawn."""
    words_of = {"accepted": "Accepted", "rejected": "Refused", "dropped": "Kept back at sending"}
    reason = line.code.replace("_", " ").lower()
    head = words_of.get(line.outcome, line.outcome)
    return head if not reason or reason == line.outcome else f"{head}: {reason}"


@register.filter
def wished(sync: Any) -> int:
    """People that a run was to add or remove."""
    return int(sync.to_add) + int(sync.to_remove)


@register.filter
def took(sync: Any) -> float | None:
    """Seconds from start to end."""
    return (sync.finished_at - sync.started_at).total_seconds() if sync.finished_at else None


@register.filter
def removed(effect: int) -> str:
    """People that a row keeps out, without its sign."""
    return words.number(-effect)
