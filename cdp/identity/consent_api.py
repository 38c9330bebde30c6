"""``POST /api/v1/consents``: what people decided, one or many at a time, without effect when repeated."""

from collections.abc import Mapping
from typing import Any

import msgspec
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.access.authentication import Caller
from cdp.access.exceptions import error_reply
from cdp.core.errors import Problem, RejectedError
from cdp.core.time import utc_now
from cdp.identity.api_schema import MAX_CONSENTS, ConsentAsked, ConsentResults, ConsentsAsked
from cdp.identity.consenting import Decision, Outcome, decisions_record
from cdp.identity.documents import documents_read


class ConsentsView(APIView):
    """Record decisions."""

    required_scopes = {"POST": "consents:write"}

    @extend_schema(
        operation_id="consents_record",
        request=PolymorphicProxySerializer(
            component_name="ConsentsBody", serializers=[ConsentsAsked, ConsentAsked], resource_type_field_name=None
        ),
        responses=ConsentResults,
    )
    def post(self, request: Request) -> Response:
        """One decision as the body itself, or up to 500 under `consents`. Each is answered on its own.

        A body with a single decision that is refused answers 400.
        """
        body = request.data
        if not isinstance(body, Mapping):
            raise RejectedError("send an object: one decision, or consents: [...].", code="body", field="body")
        is_many = "consents" in body
        items = body["consents"] if is_many else [body]
        if is_many and len(body) > 1:
            raise RejectedError(
                "beside consents nothing else is taken.",
                code="unknown",
                field=str(next(k for k in body if k != "consents"))[:80],
            )
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_CONSENTS:
            raise RejectedError(f"send 1 to {MAX_CONSENTS} decisions.", code="too_many", field="consents")
        caller = request.auth
        if not isinstance(caller, Caller):
            raise TypeError("the permission let nobody in particular through")
        outcomes = _decide(items, caller)
        problem = outcomes[0].problem
        if not is_many and problem is not None:
            raise RejectedError(problem.message, code=problem.code, field=problem.field)
        return Response({"results": _shown(outcomes)})


def _decide(items: list[Any], caller: Caller) -> list[Outcome]:
    """Outcomes in order; what is malformed never reaches the ledger."""
    now = utc_now()
    parsed: list[Decision | Problem] = []
    for item in items:
        serializer = ConsentAsked(data=item)
        try:
            serializer.is_valid(raise_exception=True)
        except ValidationError as error:
            reply = error_reply(error)
            problems = reply.problems if reply is not None else ()
            parsed.append(problems[0] if problems else Problem("", "invalid", "the decision is not valid."))
            continue
        values = serializer.validated_data
        parsed.append(
            Decision(
                identifiers=values["identifiers"],
                actions=values["purposes"],
                occurred_at=values.get("occurred_at", now),
                idempotency_key=f"{caller.prefix}:{values['idempotency_key']}",
                is_personal=values["applies_to"] == "person",
                method=values["method"],
                notice_version=values["notice_version"],
                locale=values["locale"],
                jurisdiction=values["jurisdiction"],
                evidence=values["evidence"],
            )
        )
    recorded = iter(decisions_record([item for item in parsed if isinstance(item, Decision)], now))
    return [Outcome(problem=item) if isinstance(item, Problem) else next(recorded) for item in parsed]


def _shown(outcomes: list[Outcome]) -> list[dict[str, object]]:
    numbers = sorted({outcome.profile_no for outcome in outcomes if outcome.profile_no is not None})
    documents = {
        number: msgspec.json.decode(document.body)
        for number, document in documents_read(("consents",), profile_nos=numbers).items()
    }
    shown: list[dict[str, object]] = []
    for outcome in outcomes:
        if outcome.problem is not None:
            problem = outcome.problem
            shown.append(
                {
                    "recorded": 0,
                    "error": {"field": problem.field, "code": problem.code, "message": problem.message},
                }
            )
            continue
        document = documents[outcome.profile_no or 0]
        shown.append(
            {
                "recorded": outcome.recorded,
                "profile_id": document["profile_id"],
                "consents": document["consents"],
            }
        )
    return shown
