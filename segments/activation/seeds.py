"""The demo's ad accounts: both networks at the local sandbox, their purposes, and audiences of the example segments."""

from django.db import transaction

from cdp.consent.models import DestinationPurpose
from cdp.consent.services import destination_purposes_map
from segments.activation.connections import connection_save
from segments.activation.models import AudienceTarget, Connection
from segments.activation.targets import audience_target_save
from segments.audiences.addressing import audience_save
from segments.audiences.models import Audience
from segments.definition.models import Segment
from segments.destinations.registry import destinations

PURPOSES = ("advertising",)
# (audience, title, segment, connections)
AUDIENCES = (
    ("win_back", "Win back high value", "high_value_at_risk", ("google_sandbox", "meta_sandbox")),
    ("champions_lookalike", "Champions for lookalikes", "champions", ("meta_sandbox",)),
    ("lapsed_offer", "Lapsed: come back", "lapsed", ("google_sandbox",)),
)


def sandbox_connections_ensure(
    base_url: str, *, actor: str = "system", holdout_share: float | None = None
) -> list[AudienceTarget]:
    """Connections at the sandbox, purposes and audiences, as far as their segments exist. Safe to repeat.

    A moved sandbox (another port) changes the addresses; what somebody has changed since stays as it is.
    """
    made: list[AudienceTarget] = []
    with transaction.atomic():
        for slug, destination in destinations().items():
            if not DestinationPurpose.objects.filter(destination=slug).exists():
                destination_purposes_map(slug, PURPOSES, actor)
            path = destination.sandbox.path
            address = f"{base_url.rstrip('/')}/{path}"
            row = Connection.objects.filter(key=f"{path}_sandbox").first()
            if row is None:
                connection_save(
                    f"{path}_sandbox",
                    f"{destination.title} (sandbox)",
                    slug,
                    base_url=address,
                    settings=destination.sandbox.settings,
                    secrets=destination.sandbox.secrets,
                    is_sandbox=True,
                    actor=actor,
                )
            elif row.is_sandbox and row.base_url != address:
                connection_save(row.key, row.title, slug, base_url=address, is_sandbox=True, actor=actor)
        segments = set(Segment.objects.exclude(state="archived").values_list("key", flat=True))
        known = set(Audience.objects.values_list("key", flat=True))
        for key, title, segment_key, connection_keys in AUDIENCES:
            if segment_key not in segments or key in known:
                continue
            audience_save(key, title, segment_key, PURPOSES, holdout_share=holdout_share, actor=actor)
            made += [audience_target_save(key, connection_key, actor=actor) for connection_key in connection_keys]
    return made
