"""Counting a rule, listing members, explaining one person, over REST."""

import base64
import dataclasses
import uuid
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.access.serializers import StrictSerializer
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from cdp.profiles.selectors import profile_no_of_id
from segments.audiences.previewing import segment_preview
from segments.audiences.selectors import members_page
from segments.audiences.whys import profile_explain
from segments.definition.api import limit_read, segment_get
from segments.definition.bodies import RuleParser, definition_refusal
from segments.definition.explain import Why
from segments.definition.limits import DefinitionError
from segments.definition.selectors import definition_stored

PAGE_SIZE = 1_000
MAX_PAGE_SIZE = 10_000


class PreviewAsked(StrictSerializer):
    """A rule to count without saving it."""

    definition = serializers.JSONField()
    include = serializers.ListField(
        child=serializers.ChoiceField(["rows", "reach"]), required=False, help_text="More than the count: takes longer."
    )
    segment = serializers.CharField(required=False, help_text="Key of the segment being edited, to refuse circles.")


class RowOut(serializers.Serializer[Any]):
    """What one row or group does."""

    path = serializers.CharField(help_text="As in error paths: where.conditions[0]")
    matches = serializers.IntegerField(help_text="People for whom this row alone holds.")
    effect = serializers.IntegerField(
        allow_null=True, help_text="Change of the whole count by this row, all else equal."
    )


class ReachOut(serializers.Serializer[Any]):
    """How many may be used, for a purpose or at a destination."""

    destination = serializers.CharField(allow_null=True)
    purposes = serializers.ListField(child=serializers.CharField())
    allowed = serializers.IntegerField()
    no_consent = serializers.IntegerField()
    suppressed = serializers.IntegerField()


class PreviewOut(serializers.Serializer[Any]):
    """Always exact, as of ``as_of``."""

    count = serializers.IntegerField()
    identified = serializers.IntegerField()
    people = serializers.IntegerField(help_text="Everybody: the base of a share.")
    as_of = serializers.DateTimeField()
    took_ms = serializers.FloatField()
    rows = RowOut(many=True)
    reach = ReachOut(many=True)


class MemberOut(serializers.Serializer[Any]):
    """One member."""

    profile_id = serializers.UUIDField()
    entered_at = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="Version of the rule that let the person in.")


class MemberPage(serializers.Serializer[Any]):
    """One page; ``next`` is the ``after`` of the page that follows, null on the last one."""

    results = MemberOut(many=True)
    next = serializers.CharField(allow_null=True)


class WhyOut(serializers.Serializer[Any]):
    """One row or group: what it says, whether it holds, what was found; groups have rows of their own."""

    path = serializers.CharField()
    text = serializers.CharField()
    holds = serializers.BooleanField()
    found = serializers.CharField(allow_null=True, help_text='"hidden" for personal traits.')
    events = serializers.IntegerField(allow_null=True, help_text="How many events counted.")
    last_at = serializers.CharField(allow_null=True, help_text="When the latest of them happened.")
    rows = serializers.ListField(child=serializers.DictField())


class ExplainOut(serializers.Serializer[Any]):
    """Why a person is in a segment, or not, by the current rule and the data of now."""

    segment = serializers.CharField()
    version = serializers.IntegerField()
    as_of = serializers.DateTimeField()
    why = WhyOut()


class PreviewView(APIView):
    """``/api/v1/segments/preview``"""

    required_scopes = {"POST": "segments:read"}
    parser_classes = [RuleParser]

    @extend_schema(operation_id="segments_preview", request=PreviewAsked, responses=PreviewOut)
    def post(self, request: Request) -> Response:
        """Count a rule, exactly; nothing is saved."""
        asked = PreviewAsked(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        include = set(values.get("include", ()))
        try:
            preview = segment_preview(
                values["definition"],
                utc_now(),
                own_key=values.get("segment"),
                with_rows="rows" in include,
                with_reach="reach" in include,
            )
        except DefinitionError as error:
            return definition_refusal(error)
        return Response(PreviewOut(preview).data)


class MembersView(APIView):
    """``/api/v1/segments/{key}/members``"""

    required_scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_members",
        responses=MemberPage,
        parameters=[
            OpenApiParameter("after", str, description="``next`` of the page before."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE_SIZE:,}, {PAGE_SIZE:,} by default."),
        ],
    )
    def get(self, request: Request, key: str) -> Response:
        """Members as of the last evaluation, each once however long the paging takes."""
        segment = segment_get(key)
        limit = limit_read(request, PAGE_SIZE, MAX_PAGE_SIZE, known={"after", "limit"})
        rows = members_page(segment.segment_no, _cursor_read(request.query_params.get("after", "")), limit + 1)
        following = _cursor_write(rows[limit - 1].profile_no) if len(rows) > limit else None
        return Response({"results": [MemberOut(row).data for row in rows[:limit]], "next": following})


class ExplainView(APIView):
    """``/api/v1/segments/{key}/explain/{profile_id}``"""

    required_scopes = {"GET": "segments:read"}

    @extend_schema(operation_id="segments_explain", responses=ExplainOut)
    def get(self, request: Request, key: str, profile_id: uuid.UUID) -> Response:
        """The current rule row by row for one person."""
        limit_read(request, 1, 1, known=set())
        segment, profile_no, now = segment_get(key), profile_no_of_id(profile_id), utc_now()
        if profile_no is None or segment.current_version is None:
            raise Http404
        why = profile_explain(definition_stored(segment), profile_no, now)
        if why is None:
            raise Http404
        return Response(
            {
                "segment": segment.key,
                "version": segment.current_version.version,
                "as_of": now,
                "why": why_json(why),
            }
        )


def why_json(why: Why) -> dict[str, Any]:
    """The tree as JSON values."""
    return dataclasses.asdict(why) | {"rows": [why_json(row) for row in why.rows]}


def _cursor_write(profile_no: int) -> str:
    """Opaque: callers keep it and send it back."""
    return base64.urlsafe_b64encode(profile_no.to_bytes(8, "big")).decode().rstrip("=")


def _cursor_read(text: str) -> int:
    if not text:
        return 0
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        data = b""
    if len(data) != 8 or data[0] > 127:
        raise RejectedError("Send the `next` of the page before, as it was.", code="invalid", field="after")
    return int.from_bytes(data, "big")
