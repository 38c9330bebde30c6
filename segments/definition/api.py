"""Segments over REST: list, create, read, change."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.access.authentication import Caller
from cdp.access.serializers import StrictSerializer
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from segments.definition.bodies import RuleParser, definition_refusal
from segments.definition.limits import DefinitionError
from segments.definition.models import Segment
from segments.definition.services import segment_save

PAGE_SIZE = 100
MAX_PAGE_SIZE = 500


class SegmentOut(serializers.Serializer[Segment]):
    """A segment with its current rule and its last good count."""

    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    state = serializers.CharField(help_text="draft, counting, ready, failed or archived")
    error = serializers.CharField(help_text="Why the last count failed; the members before it stay.")
    version = serializers.IntegerField(source="current_version.version", allow_null=True, default=None)
    definition = serializers.JSONField(source="current_version.definition", allow_null=True, default=None)
    sentence = serializers.CharField(source="current_version.sentence", allow_null=True, default=None)
    size = serializers.IntegerField(allow_null=True, help_text="Exact, as of evaluated_at.")
    evaluated_at = serializers.DateTimeField(allow_null=True)
    evaluated_version = serializers.IntegerField(allow_null=True)
    evaluate_every_minutes = serializers.IntegerField()
    created_at = serializers.DateTimeField()


class SegmentPage(serializers.Serializer[Any]):
    """One page; ``next`` is the ``after`` of the page that follows, null on the last one."""

    results = SegmentOut(many=True)
    next = serializers.CharField(allow_null=True)


class SegmentChange(StrictSerializer):
    """What a change says. ``definition`` is the segment language, version 1."""

    title = serializers.CharField(max_length=80)
    definition = serializers.JSONField()
    description = serializers.CharField(max_length=300, allow_blank=True, required=False)
    reason = serializers.CharField(max_length=200, allow_blank=True, required=False)
    evaluate_every_minutes = serializers.IntegerField(min_value=1, max_value=10_080, required=False)
    expected_version = serializers.IntegerField(
        min_value=1, required=False, help_text="409 when another one is current."
    )


class SegmentNew(SegmentChange):
    """A change, and the key that will never change."""

    key = serializers.CharField(max_length=60)


class SegmentsView(APIView):
    """``/api/v1/segments``"""

    required_scopes = {"GET": "segments:read", "POST": "segments:write"}
    parser_classes = [RuleParser]

    @extend_schema(
        operation_id="segments_list",
        responses=SegmentPage,
        parameters=[
            OpenApiParameter("after", str, description="Key of the last segment of the page before."),
            OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE_SIZE}, {PAGE_SIZE} by default."),
            OpenApiParameter("archived", bool, description="Archived ones too."),
        ],
    )
    def get(self, request: Request) -> Response:
        """Segments by key, archived ones left out."""
        limit = limit_read(request, PAGE_SIZE, MAX_PAGE_SIZE, known={"after", "limit", "archived"})
        found: QuerySet[Segment] = Segment.objects.select_related("current_version").order_by("key")
        if request.query_params.get("archived") != "true":
            found = found.exclude(state="archived")
        if after := request.query_params.get("after"):
            found = found.filter(key__gt=after)
        page = list(found[: limit + 1])
        following = page[limit - 1].key if len(page) > limit else None
        return Response({"results": [SegmentOut(segment).data for segment in page[:limit]], "next": following})

    @extend_schema(operation_id="segments_create", request=SegmentNew, responses={201: SegmentOut})
    def post(self, request: Request) -> Response:
        """Create a segment; it is counted in the background. 409 when the key exists."""
        asked = SegmentNew(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        if Segment.objects.filter(key=values["key"]).exists():
            message = "A segment with this key exists. Change it by PUT, or choose another key."
            raise RejectedError(message, code="conflict", field="key")
        return _saved(request, values["key"], values, status=201)


class SegmentView(APIView):
    """``/api/v1/segments/{key}``"""

    required_scopes = {"GET": "segments:read", "PUT": "segments:write"}
    parser_classes = [RuleParser]

    @extend_schema(operation_id="segments_get", responses=SegmentOut)
    def get(self, request: Request, key: str) -> Response:
        """One segment with its current rule."""
        return Response(SegmentOut(segment_get(key)).data)

    @extend_schema(operation_id="segments_change", request=SegmentChange, responses=SegmentOut)
    def put(self, request: Request, key: str) -> Response:
        """Give the segment its next version. The same rule in another order makes none."""
        segment_get(key)
        asked = SegmentChange(data=request.data)
        asked.is_valid(raise_exception=True)
        return _saved(request, key, asked.validated_data, status=200)


def segment_get(key: str) -> Segment:
    """The segment behind a key, or 404."""
    found = Segment.objects.select_related("current_version").filter(key=key).first()
    if found is None:
        raise Http404
    return found


def limit_read(request: Request, default: int, most: int, *, known: set[str]) -> int:
    """``?limit=``; raises RejectedError when it is no number from 1 to ``most``, or for a parameter that nobody knows."""
    for name in request.query_params:
        if name not in known:
            raise RejectedError(f"Known parameters: {', '.join(sorted(known))}.", code="unknown", field=name[:60])
    text = request.query_params.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise RejectedError(f"Enter a whole number from 1 to {most}.", code="invalid", field="limit")
    return int(text)


def _saved(request: Request, key: str, values: dict[str, Any], *, status: int) -> Response:
    caller: Caller = request.auth  # type: ignore[assignment]  # HasScope let nobody else in
    try:
        segment_save(
            key,
            values["title"],
            values["definition"],
            None,
            values.get("reason", ""),
            now=utc_now(),
            actor=caller.actor,
            description=values.get("description"),
            evaluate_every_minutes=values.get("evaluate_every_minutes"),
            expected_version=values.get("expected_version"),
        )
    except DefinitionError as error:
        return definition_refusal(error)
    return Response(SegmentOut(segment_get(key)).data, status=status)
