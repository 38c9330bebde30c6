"""What the API of audiences, connections and syncs takes and gives."""

from typing import Any

from rest_framework import serializers

from cdp.access.serializers import StrictSerializer
from segments.activation.models import AudienceTarget, Connection, Sync
from segments.audiences.models import Audience


class TargetOut(serializers.Serializer[AudienceTarget]):
    """A list at one network."""

    connection = serializers.CharField(source="connection.key")
    destination = serializers.CharField(source="connection.destination")
    external_id = serializers.CharField(help_text="The list's id at the network, empty until it exists.")
    sync_every_minutes = serializers.IntegerField()
    max_removal_share = serializers.FloatField()
    is_enabled = serializers.BooleanField()
    due_at = serializers.DateTimeField()
    on_list = serializers.IntegerField(default=0, help_text="People, as far as the network acknowledged.")


class AudienceOut(serializers.Serializer[Audience]):
    """A segment made addressable."""

    key = serializers.CharField()
    title = serializers.CharField()
    segment = serializers.CharField(source="segment.key")
    purposes = serializers.ListField(child=serializers.CharField())
    holdout_share = serializers.FloatField()
    is_paused = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    targets = TargetOut(many=True)


class AudiencePage(serializers.Serializer[Any]):
    results = AudienceOut(many=True)
    next = serializers.CharField(allow_null=True)


class TargetIn(StrictSerializer):
    """Where the audience goes."""

    connection = serializers.CharField(max_length=60)
    external_id = serializers.CharField(
        max_length=80, required=False, help_text="A list that exists; else one is made."
    )
    sync_every_minutes = serializers.IntegerField(min_value=1, max_value=10_080, default=60)
    max_removal_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    is_enabled = serializers.BooleanField(default=True)


class AudienceIn(StrictSerializer):
    """An audience with its lists; posting the same key changes it."""

    key = serializers.CharField(max_length=60)
    title = serializers.CharField(max_length=80)
    segment = serializers.CharField(max_length=60)
    purposes = serializers.ListField(child=serializers.CharField(max_length=40), allow_empty=False)
    holdout_share = serializers.FloatField(min_value=0, max_value=0.9, required=False)
    targets = TargetIn(many=True, required=False)


class ConnectionOut(serializers.Serializer[Connection]):
    """An account at a network. Secrets are never shown, only whether there are any."""

    key = serializers.CharField()
    title = serializers.CharField()
    destination = serializers.CharField()
    base_url = serializers.CharField()
    settings = serializers.DictField(child=serializers.CharField())
    has_secrets = serializers.SerializerMethodField()
    is_sandbox = serializers.BooleanField()
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_reason = serializers.CharField()
    wait_until = serializers.DateTimeField(allow_null=True)

    def get_has_secrets(self, row: Connection) -> bool:
        return bool(row.secrets_encrypted)


class ConnectionPage(serializers.Serializer[Any]):
    results = ConnectionOut(many=True)
    next = serializers.CharField(allow_null=True)


class ConnectionIn(StrictSerializer):
    """An account; posting the same key changes it, ``secrets`` left out keeps the stored ones."""

    key = serializers.SlugField(max_length=60)
    title = serializers.CharField(max_length=80)
    destination = serializers.CharField(max_length=60)
    base_url = serializers.CharField(max_length=200, required=False)
    settings = serializers.DictField(child=serializers.CharField(max_length=400), required=False)
    secrets = serializers.DictField(child=serializers.CharField(max_length=20_000), required=False, write_only=True)
    is_sandbox = serializers.BooleanField(default=False)


class OutcomeOut(serializers.Serializer[Any]):
    outcome = serializers.CharField(help_text="accepted, rejected or dropped")
    code = serializers.CharField()
    count = serializers.IntegerField()


class SyncOut(serializers.Serializer[Sync]):
    """One run of one list."""

    sync_no = serializers.IntegerField()
    audience = serializers.CharField(source="target.audience.key")
    connection = serializers.CharField(source="target.connection.key")
    lane = serializers.CharField(help_text="regular or opt_out")
    state = serializers.CharField()
    reason = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())
    segment_version = serializers.IntegerField(allow_null=True)
    reach = serializers.DictField(child=serializers.IntegerField())
    on_list_before = serializers.IntegerField()
    to_add = serializers.IntegerField()
    to_remove = serializers.IntegerField()
    removal_causes = serializers.DictField(child=serializers.IntegerField())
    accepted = serializers.IntegerField()
    rejected = serializers.IntegerField()
    dropped_at_send = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class SyncDetailOut(SyncOut):
    outcomes = OutcomeOut(many=True)


class SyncPage(serializers.Serializer[Any]):
    results = SyncOut(many=True)
    next = serializers.CharField(allow_null=True)


class SyncStarted(serializers.Serializer[Any]):
    """Which lists were woken; follow them under ``/api/v1/syncs``."""

    lists = serializers.IntegerField()
