"""Audiences, connections and syncs over REST."""

from typing import Any

from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.access.authentication import Caller
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from segments.activation.bodies import (
    AudienceIn,
    AudienceOut,
    AudiencePage,
    ConnectionIn,
    ConnectionOut,
    ConnectionPage,
    OutcomeOut,
    SyncDetailOut,
    SyncOut,
    SyncPage,
    SyncStarted,
    TargetOut,
)
from segments.activation.models import Connection
from segments.activation.selectors import audiences_page, connections_page, on_list_counts, sync_find, syncs_page
from segments.activation.services import (
    ConnectionProblemsError,
    audience_target_save,
    connection_resume,
    connection_save,
    targets_hasten,
)
from segments.activation.tasks import target_turn
from segments.audiences.addressing import audience_save
from segments.audiences.models import Audience
from segments.definition.api import limit_read

PAGE_SIZE = 100
MAX_PAGE_SIZE = 500
PAGING = [
    OpenApiParameter("after", str, description="`next` of the page before."),
    OpenApiParameter("limit", int, description=f"1 to {MAX_PAGE_SIZE}, {PAGE_SIZE} by default."),
]


class AudiencesView(APIView):
    """``/api/v1/audiences``"""

    required_scopes = {"GET": "audiences:read", "POST": "audiences:write"}

    @extend_schema(operation_id="audiences_list", responses=AudiencePage, parameters=PAGING)
    def get(self, request: Request) -> Response:
        """Audiences by key, with their lists."""
        limit = limit_read(request, PAGE_SIZE, MAX_PAGE_SIZE, known={"after", "limit"})
        found = audiences_page(request.query_params.get("after", ""), limit + 1)
        following = found[limit - 1].key if len(found) > limit else None
        return Response({"results": [audience_out(a) for a in found[:limit]], "next": following})

    @extend_schema(operation_id="audiences_save", request=AudienceIn, responses={200: AudienceOut, 201: AudienceOut})
    def post(self, request: Request) -> Response:
        """Make an audience and its lists, or change them."""
        asked = AudienceIn(data=request.data)
        asked.is_valid(raise_exception=True)
        values, actor = asked.validated_data, actor_of(request)
        is_new = not Audience.objects.filter(key=values["key"]).exists()
        targets = values.pop("targets", [])
        with transaction.atomic():
            audience = audience_save(
                values["key"],
                values["title"],
                values["segment"],
                values["purposes"],
                holdout_share=values.get("holdout_share"),
                actor=actor,
            )
            for target in targets:
                audience_target_save(audience.key, target.pop("connection"), actor=actor, **target)
        return Response(audience_out(audience), status=201 if is_new else 200)


class AudienceSyncView(APIView):
    """``/api/v1/audiences/{key}/sync``"""

    required_scopes = {"POST": "audiences:write"}

    @extend_schema(operation_id="audiences_sync", request=None, responses={202: SyncStarted})
    def post(self, request: Request, key: str) -> Response:
        """Bring every list of the audience in line now; runs in the background."""
        numbers = targets_hasten(key, utc_now())
        for target_no in numbers:
            target_turn.delay(target_no)
        return Response({"lists": len(numbers)}, status=202)


class ConnectionsView(APIView):
    """``/api/v1/connections``"""

    required_scopes = {"GET": "audiences:read", "POST": "audiences:write"}

    @extend_schema(operation_id="connections_list", responses=ConnectionPage, parameters=PAGING)
    def get(self, request: Request) -> Response:
        """Connections by key, without their secrets."""
        limit = limit_read(request, PAGE_SIZE, MAX_PAGE_SIZE, known={"after", "limit"})
        found = connections_page(request.query_params.get("after", ""), limit + 1)
        following = found[limit - 1].key if len(found) > limit else None
        return Response({"results": [ConnectionOut(row).data for row in found[:limit]], "next": following})

    @extend_schema(
        operation_id="connections_save", request=ConnectionIn, responses={200: ConnectionOut, 201: ConnectionOut}
    )
    def post(self, request: Request) -> Response:
        """Make a connection, or change it. Secrets are stored encrypted and never shown again."""
        asked = ConnectionIn(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        is_new = not Connection.objects.filter(key=values["key"]).exists()
        try:
            saved = connection_save(
                values["key"],
                values["title"],
                values["destination"],
                base_url=values.get("base_url", ""),
                settings=values.get("settings"),
                secrets=values.get("secrets"),
                is_sandbox=values["is_sandbox"],
                actor=actor_of(request),
            )
        except ConnectionProblemsError as error:
            fields: dict[str, list[str]] = {}
            for problem in error.problems:
                fields.setdefault(problem.field, []).append(problem.message)
            raise serializers.ValidationError(fields) from None
        return Response(ConnectionOut(saved).data, status=201 if is_new else 200)


class ConnectionResumeView(APIView):
    """``/api/v1/connections/{key}/resume``"""

    required_scopes = {"POST": "audiences:write"}

    @extend_schema(operation_id="connections_resume", request=None, responses=ConnectionOut)
    def post(self, request: Request, key: str) -> Response:
        """Go on with a paused connection once its cause is mended."""
        connection_resume(key, actor=actor_of(request))
        return Response(ConnectionOut(Connection.objects.get(key=key)).data)


class SyncsView(APIView):
    """``/api/v1/syncs``"""

    required_scopes = {"GET": "audiences:read"}

    @extend_schema(
        operation_id="syncs_list",
        responses=SyncPage,
        parameters=[
            *PAGING,
            OpenApiParameter("audience", str, description="Key of an audience."),
            OpenApiParameter("state", str),
            OpenApiParameter("lane", str, description="regular or opt_out"),
        ],
    )
    def get(self, request: Request) -> Response:
        """Runs, newest first."""
        limit = limit_read(request, PAGE_SIZE, MAX_PAGE_SIZE, known={"after", "limit", "audience", "state", "lane"})
        query = request.query_params
        after = query.get("after", "")
        if after and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise RejectedError("Use the `next` of the page before.", code="invalid", field="after")
        filters = {name: query.get(name, "") for name in ("audience", "state", "lane")}
        found = syncs_page(int(after) if after else None, limit + 1, **filters)
        following = str(found[limit - 1].pk) if len(found) > limit else None
        return Response({"results": [SyncOut(row).data for row in found[:limit]], "next": following})


class SyncView(APIView):
    """``/api/v1/syncs/{sync_no}``"""

    required_scopes = {"GET": "audiences:read"}

    @extend_schema(operation_id="syncs_get", responses=SyncDetailOut)
    def get(self, request: Request, sync_no: int) -> Response:
        """One run with its deliveries by outcome."""
        found = sync_find(sync_no)
        if found is None:
            raise Http404
        outcomes = OutcomeOut(found.outcomes.order_by("-count"), many=True).data
        return Response({**SyncOut(found).data, "outcomes": outcomes})


def audience_out(audience: Audience) -> dict[str, Any]:
    targets = list(audience.targets.select_related("connection").order_by("connection__key"))
    counts = on_list_counts([target.pk for target in targets])
    lists = [{**TargetOut(target).data, "on_list": counts[target.pk]} for target in targets]
    return {**AudienceOut(audience).data, "targets": lists}


def actor_of(request: Request) -> str:
    caller: Caller = request.auth  # type: ignore[assignment]  # HasScope let nobody else in
    return caller.actor
