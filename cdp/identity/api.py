"""Profiles over REST: by any id, by the thousand, with events, segments, consents and identifiers.

No address stands in a URL: e-mail and phone are looked up by POST.
"""

import base64
import binascii
import datetime as dt
import uuid
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.views import APIView

from cdp.access.authentication import Caller
from cdp.consent.selectors import acts_of_profile
from cdp.core.errors import RejectedError
from cdp.core.normalise import value_is_address
from cdp.core.time import UTC
from cdp.events.selectors import events_timeline
from cdp.identity.api_schema import (
    MAX_LOOKUPS,
    ConsentsShown,
    EventPage,
    IdentifiersShown,
    LookupResults,
    LookupsAsked,
    ProfileShown,
    SegmentsShown,
)
from cdp.identity.documents import Document, documents_read, parts_choose
from cdp.identity.plain_views import json_response, plain_view
from cdp.identity.selectors import identifier_locate, identifiers_by_profile, profiles_locate, types_addressing
from cdp.profiles.selectors import profile_no_of_id

PROFILE_ID = "profile_id"
MAX_EVENTS = 200
DEFAULT_EVENTS = 50
ADDRESS = [
    OpenApiParameter("type", str, OpenApiParameter.PATH, description="`profile_id`, `user_id`, `anonymous_id` …"),
    OpenApiParameter("value", str, OpenApiParameter.PATH),
]
INCLUDE = OpenApiParameter(
    "include",
    str,
    description="Comma-separated: traits, computed_traits, consents, segments, identifiers. All but the last by default.",
)


class LookupItem(msgspec.Struct, forbid_unknown_fields=True):
    """One identifier asked for."""

    type: str
    value: str | int


class LookupBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a lookup."""

    lookups: list[LookupItem]
    include: list[str] | None = None


_lookup_decoder = msgspec.json.Decoder(LookupBody)


def _located(type_key: str, value: object) -> dict[str, Any]:
    """Where ``documents_read`` finds it. Raises RejectedError for a type or value that cannot be."""
    if type_key != PROFILE_ID:
        return {"locator": identifier_locate(type_key, value)}
    try:
        profile_no = profile_no_of_id(uuid.UUID(str(value)))
    except ValueError:
        raise RejectedError("profile_id must be a UUID.", code="uuid", field=PROFILE_ID) from None
    return {"profile_nos": [] if profile_no is None else [profile_no]}


def _addressed(type_key: str, value: str, parts: tuple[str, ...]) -> Document:
    """The document behind an address. Raises RejectedError: 404, or 400 for what must not stand in a URL."""
    if type_key in types_addressing() or value_is_address(value):
        raise RejectedError(
            "addresses do not belong in URLs, which are logged on the way; POST to /api/v1/profiles/lookup instead.",
            code="address_in_url",
            field="type",
        )
    documents = documents_read(parts, **_located(type_key, value))
    for document in documents.values():
        return document
    raise RejectedError("Nobody has this identifier.", code="not_found", field="value")


def _include(request: HttpRequest) -> tuple[str, ...]:
    if unknown := [key for key in request.GET if key != "include"]:
        raise RejectedError("the only parameter here is include.", code="unknown", field=unknown[0][:40])
    text = request.GET.get("include")
    return parts_choose(None if text is None else [part.strip() for part in text.split(",") if part.strip()])


def profile_get(request: HttpRequest, caller: Caller, type: str, value: str) -> HttpResponse:
    """One profile."""
    return json_response(_addressed(type, value, _include(request)).body)


def _part_get(name: str) -> Any:
    """A view of one part alone."""

    def part_get(request: HttpRequest, caller: Caller, type: str, value: str) -> HttpResponse:
        body = msgspec.json.decode(_addressed(type, value, parts_choose([name])).body)
        return json_response(msgspec.json.encode({name: body[name]}))

    return part_get


def consents_get(request: HttpRequest, caller: Caller, type: str, value: str) -> HttpResponse:
    """States and the acts behind them."""
    document = _addressed(type, value, ("consents",))
    body = msgspec.json.decode(document.body)
    acts = acts_of_profile(document.profile_no)
    return json_response(msgspec.json.encode({"consents": body["consents"], "acts": acts}))


def events_get(request: HttpRequest, caller: Caller, type: str, value: str) -> HttpResponse:
    """Events, newest first."""
    if unknown := [key for key in request.GET if key not in {"limit", "before"}]:
        raise RejectedError("the parameters here are limit and before.", code="unknown", field=unknown[0][:40])
    limit = _limit(request.GET.get("limit"))
    before = _before(request.GET.get("before"))
    document = _addressed(type, value, ())
    identifier_nos = identifiers_by_profile([document.profile_no]).get(document.profile_no, [])
    found = events_timeline(identifier_nos, limit=limit + 1, before=before)
    page = found[:limit]
    return json_response(
        msgspec.json.encode(
            {
                "events": [
                    {
                        "event_no": event.event_no,
                        "kind": event.kind,
                        "name": event.name,
                        "occurred_at": event.occurred_at,
                        "received_at": event.received_at,
                        "order_id": event.order_id,
                        "amount": event.amount,
                        "currency": event.currency,
                        "properties": event.properties,
                    }
                    for event in page
                ],
                "next": _cursor(page[-1].occurred_at, page[-1].event_no) if len(found) > limit else None,
            }
        )
    )


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_EVENTS
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_EVENTS:
        raise RejectedError(f"limit must be a number from 1 to {MAX_EVENTS}.", code="limit", field="limit")
    return int(text)


def _cursor(occurred_at: dt.datetime, event_no: int) -> str:
    return base64.urlsafe_b64encode(f"{occurred_at.isoformat()}|{event_no}".encode()).decode()


def _before(text: str | None) -> tuple[dt.datetime, int] | None:
    if text is None:
        return None
    try:
        moment, _, number = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
        occurred_at, event_no = dt.datetime.fromisoformat(moment), int(number)
    except (ValueError, binascii.Error):
        raise RejectedError("before must be the next of an earlier page.", code="cursor", field="before") from None
    if occurred_at.tzinfo is None or abs(event_no) >= 2**63:
        raise RejectedError("before must be the next of an earlier page.", code="cursor", field="before")
    return occurred_at.astimezone(UTC), event_no


def lookup_post(request: HttpRequest, caller: Caller) -> HttpResponse:
    """Up to 1,000 profiles; each item is answered on its own."""
    try:
        asked = _lookup_decoder.decode(request.body)
    except msgspec.DecodeError as error:  # also a ValidationError, which names the path
        raise RejectedError(f"{error}"[:200], code="body", field="body") from None
    if not 1 <= len(asked.lookups) <= MAX_LOOKUPS:
        raise RejectedError(f"ask for 1 to {MAX_LOOKUPS:,} profiles.", code="too_many", field="lookups")
    parts = parts_choose(asked.include)
    numbers, refusals = profiles_locate([(item.type, item.value) for item in asked.lookups])
    documents = documents_read(parts, profile_nos=sorted({no for no in numbers if no is not None}))
    results = []
    for position, number in enumerate(numbers):
        document = None if number is None else documents.get(number)
        if document is not None:
            results.append(b'{"found":true,"profile":' + document.body + b"}")
        elif position in refusals:
            results.append(msgspec.json.encode({"found": False, "error": refusals[position]}))
        else:
            results.append(b'{"found":false}')
    return json_response(b'{"results":[' + b",".join(results) + b"]}")


class ProfileView(APIView):
    """``/api/v1/profiles/{type}:{value}``"""

    required_scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_get", responses=ProfileShown, parameters=[*ADDRESS, INCLUDE])
    def get(self) -> None:
        """One profile by any opaque id. 400 for an e-mail or phone: those go by POST to `/profiles/lookup`."""


class ProfileEventsView(APIView):
    """``/api/v1/profiles/{type}:{value}/events``"""

    required_scopes = {"GET": "profiles:read"}

    @extend_schema(
        operation_id="profiles_events",
        responses=EventPage,
        parameters=[
            *ADDRESS,
            OpenApiParameter("limit", int, description=f"1 to {MAX_EVENTS}; {DEFAULT_EVENTS} by default."),
            OpenApiParameter("before", str, description="The `next` of the page before."),
        ],
    )
    def get(self) -> None:
        """The person's events, newest first."""


class ProfileSegmentsView(APIView):
    """``/api/v1/profiles/{type}:{value}/segments``"""

    required_scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_segments", responses=SegmentsShown, parameters=ADDRESS)
    def get(self) -> None:
        """The segments the person is in."""


class ProfileConsentsView(APIView):
    """``/api/v1/profiles/{type}:{value}/consents``"""

    required_scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_consents", responses=ConsentsShown, parameters=ADDRESS)
    def get(self) -> None:
        """What holds per purpose, and every act behind it."""


class ProfileIdentifiersView(APIView):
    """``/api/v1/profiles/{type}:{value}/identifiers``"""

    required_scopes = {"GET": "profiles:read"}

    @extend_schema(operation_id="profiles_identifiers", responses=IdentifiersShown, parameters=ADDRESS)
    def get(self) -> None:
        """The person's identifiers with their values, strongest first."""


class LookupView(APIView):
    """``/api/v1/profiles/lookup``"""

    required_scopes = {"POST": "profiles:read"}

    @extend_schema(operation_id="profiles_lookup", request=LookupsAsked, responses=LookupResults)
    def post(self) -> None:
        """Up to 1,000 profiles by any identifier, addresses too. Each is answered on its own."""


profile_view = plain_view(ProfileView, {"GET": profile_get})
profile_events_view = plain_view(ProfileEventsView, {"GET": events_get})
profile_segments_view = plain_view(ProfileSegmentsView, {"GET": _part_get("segments")})
profile_consents_view = plain_view(ProfileConsentsView, {"GET": consents_get})
profile_identifiers_view = plain_view(ProfileIdentifiersView, {"GET": _part_get("identifiers")})
lookup_view = plain_view(LookupView, {"POST": lookup_post})
