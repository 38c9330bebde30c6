"""What does this privacy signal say? The readers of ``cdp.consent.signals`` on a page, for one string. Nothing is stored."""

import datetime as dt

import msgspec
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_http_methods

from cdp.consent.signals.decode import KINDS, SignalKind, gpc_decode, signal_decode
from cdp.consent.signals.errors import SignalError
from cdp.consent.signals.lines import as_of_read
from cdp.consent.signals.values import View
from cdp.core.time import utc_now
from cdp.screen.page import crumb, page_render, staff_page

TITLES: dict[SignalKind, str] = {
    "tcf": "TC string (Europe)",
    "gpp": "GPP string",
    "usp": "US Privacy string",
    "gpc": "Sec-GPC header",
}
REASONS = {
    "created_differs_from_last_updated": "Its two dates differ, which no consent platform may write.",
    "created_in_the_future": "It was made after the day that is asked about.",
    "disclosed_vendors_missing": "It does not say which vendors were shown to the person, as it must since March 2026.",
    "not_service_specific": "It claims to hold for every website, which is no longer valid.",
    "older_than_13_months": "It is older than 13 months: the person has to be asked again.",
    "policy_version_below_4": "It was made under a policy that ended on 30 September 2023.",
    "policy_version_unknown": "It was made under a policy that is newer than this service knows.",
}

EFFECTS = {
    "us_signal_present": "A US section is there",
    "ccpa_applies": "Californian law applies",
    "sale_opt_out": "Opted out of sale",
    "sale_restricted": "No sale: opted out or not told",
    "sharing_opt_out": "Opted out of sharing",
    "targeted_advertising_opt_out": "Opted out of targeted advertising",
    "gpc": "Global Privacy Control is on",
    "known_child_without_consent": "A known child without consent",
    "ad_audience_sync_allowed_us": "Ad audiences are allowed under US law",
}


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.view_consentrecord")
def signal_page(request: HttpRequest) -> HttpResponseBase:
    """A form; once posted, what the string says beside it, or why it cannot be read. By POST, so that it stands in no address."""
    kind = next((known for known in KINDS if known == request.POST.get("kind")), KINDS[0])
    text, as_of = request.POST.get("text", "").strip(), request.POST.get("as_of", "").strip()
    problems: dict[str, str] = {}
    answer: View | None = None
    unreadable = ""
    if request.method == "POST":
        problems, moment = form_problems(text, as_of)
        if not problems:
            try:
                answer = gpc_decode(text.splitlines()) if kind == "gpc" else signal_decode(kind, text, moment)
            except SignalError as error:
                unreadable = error.message
    return page_render(
        request,
        "cdp/signal.html",
        "Read a signal",
        crumbs=(crumb("Consent & privacy", "consent"),),
        status=400 if problems else 200,
        kinds=TITLES.items(),
        values={"kind": kind, "text": text, "as_of": as_of},
        problems=problems,
        unreadable=unreadable,
        answer=answer,
        reasons=REASONS,
        effects=EFFECTS,
        kind_title=TITLES[kind],
        details=msgspec.json.format(msgspec.json.encode(answer), indent=2).decode() if answer else "",
    )


def form_problems(text: str, as_of: str) -> tuple[dict[str, str], dt.datetime]:
    """What keeps the form from being answered, and the moment it asks about."""
    now = utc_now()
    problems: dict[str, str] = {}
    if not text:
        problems["text"] = "Paste the string."
    try:
        moment = as_of_read(as_of, now)
    except SignalError as error:
        return problems | {"as_of": error.message}, now
    return problems, moment
