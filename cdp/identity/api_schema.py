"""What the OpenAPI document says of the profile and consent API. The views answer JSON built in SQL, to these shapes."""

from typing import Any

from rest_framework import serializers

from cdp.access.serializers import StrictSerializer
from cdp.consent.models import ACTIONS, STATES

MAX_LOOKUPS = 1_000
MAX_CONSENTS = 500


class ConsentNow(serializers.Serializer[Any]):
    """What holds now for one purpose."""

    state = serializers.ChoiceField(choices=STATES)
    since = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    is_conflict = serializers.BooleanField(help_text="Identifiers of this person disagree; the most restrictive holds.")


class ComputedGroup(serializers.Serializer[Any]):
    """Values of one model run."""

    as_of = serializers.DateTimeField(allow_null=True)
    values = serializers.DictField()


class SegmentStay(serializers.Serializer[Any]):
    """One segment the person is in."""

    key = serializers.CharField()
    title = serializers.CharField()
    entered_at = serializers.DateTimeField()


class IdentifierShown(serializers.Serializer[Any]):
    """One identifier with its value."""

    type = serializers.CharField()
    value = serializers.CharField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    is_shared = serializers.BooleanField(help_text="Seen with too many people; it joins nobody any more.")


class ProfileShown(serializers.Serializer[Any]):
    """One person. Which parts are there is said by ``include``."""

    profile_id = serializers.UUIDField()
    created_at = serializers.DateTimeField()
    first_seen_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="To the hour.")
    is_identified = serializers.BooleanField()
    traits = serializers.DictField(required=False)
    computed_traits = serializers.DictField(child=ComputedGroup(), required=False)
    consents = serializers.DictField(child=ConsentNow(), required=False, help_text="By purpose; all of them.")
    segments = SegmentStay(many=True, required=False)
    identifiers = IdentifierShown(many=True, required=False)


class EventShown(serializers.Serializer[Any]):
    """One event."""

    event_no = serializers.IntegerField()
    kind = serializers.CharField()
    name = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    order_id = serializers.CharField(allow_null=True)
    amount = serializers.CharField(allow_null=True, help_text="Decimal as text.")
    currency = serializers.CharField(allow_null=True)
    properties = serializers.DictField()


class EventPage(serializers.Serializer[Any]):
    """Newest first; ``next`` is the ``before`` of the following page, null on the last one."""

    events = EventShown(many=True)
    next = serializers.CharField(allow_null=True)


class SegmentsShown(serializers.Serializer[Any]):
    """Segments the person is in."""

    segments = SegmentStay(many=True)


class IdentifiersShown(serializers.Serializer[Any]):
    """Identifiers, strongest first."""

    identifiers = IdentifierShown(many=True)


class ConsentAct(serializers.Serializer[Any]):
    """One act in the ledger: the evidence."""

    record_no = serializers.IntegerField()
    purpose = serializers.CharField()
    action = serializers.ChoiceField(choices=ACTIONS)
    identifier_type = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    received_at = serializers.DateTimeField()
    method = serializers.CharField()
    notice_version = serializers.CharField()
    locale = serializers.CharField()
    jurisdiction = serializers.CharField()
    source_no = serializers.IntegerField(help_text="0: this API or staff.")
    evidence = serializers.DictField()


class ConsentsShown(serializers.Serializer[Any]):
    """States by purpose, and every act behind them, newest first."""

    consents = serializers.DictField(child=ConsentNow())
    acts = ConsentAct(many=True)


class LookupAsked(StrictSerializer):
    """One identifier."""

    type = serializers.CharField(help_text="An identifier type, or `profile_id`.")
    value = serializers.CharField()


class LookupsAsked(StrictSerializer):
    """Up to 1,000 identifiers."""

    lookups = LookupAsked(many=True)
    include = serializers.ListField(child=serializers.CharField(), required=False)


class Refusal(serializers.Serializer[Any]):
    """Why one item was refused."""

    field = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


class LookupResult(serializers.Serializer[Any]):
    """One answer, in the order asked."""

    found = serializers.BooleanField()
    profile = ProfileShown(required=False)
    error = Refusal(required=False)


class LookupResults(serializers.Serializer[Any]):
    """Answers in the order asked."""

    results = LookupResult(many=True)


class ConsentAsked(StrictSerializer):
    """What somebody decided, at once for any number of purposes. Purposes that are not named stay as they are."""

    identifiers = serializers.DictField(
        child=serializers.CharField(), allow_empty=False, help_text="{type: value}, as strong as known."
    )
    purposes = serializers.DictField(
        child=serializers.ChoiceField(choices=[a for a in ACTIONS if a != "expired"]),
        allow_empty=False,
        help_text="{purpose key: action}",
    )
    idempotency_key = serializers.CharField(max_length=150, help_text="The same key again has no effect.")
    occurred_at = serializers.DateTimeField(required=False, help_text="Now by default.")
    applies_to = serializers.ChoiceField(
        choices=["identifier", "person"],
        default="identifier",
        help_text="`person` records the act for every identifier of the person: what a preference page of somebody who "
        "is logged in sends, and what resolves a conflict.",
    )
    method = serializers.CharField(max_length=30, default="api")
    notice_version = serializers.CharField(max_length=40, default="", allow_blank=True)
    locale = serializers.CharField(max_length=12, default="", allow_blank=True)
    jurisdiction = serializers.CharField(max_length=12, default="", allow_blank=True)
    evidence = serializers.DictField(
        default=dict, help_text="form, url, ip, tcf, gpp …; kept without addresses and queries."
    )


class ConsentsAsked(StrictSerializer):
    """One decision, or up to 500 of them under ``consents``."""

    consents = ConsentAsked(many=True)


class ConsentResult(serializers.Serializer[Any]):
    """What became of one decision."""

    recorded = serializers.IntegerField(help_text="New acts; 0 when the key was known.")
    profile_id = serializers.UUIDField(required=False)
    consents = serializers.DictField(child=ConsentNow(), required=False)
    error = Refusal(required=False)


class ConsentResults(serializers.Serializer[Any]):
    """Results in the order given."""

    results = ConsentResult(many=True)
