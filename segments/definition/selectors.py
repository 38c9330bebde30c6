"""What rules may name in this workspace, and which segments name which."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from cdp.consent.models import Purpose
from cdp.core.versions import tables_version
from cdp.events.models import EventName, EventProperty
from cdp.identity.models import IdentifierType
from cdp.profiles.models import Trait
from segments.definition.catalogue import (
    EVENT_FIELDS,
    PROFILE_FIELDS,
    Catalogue,
    Field,
    SegmentRef,
    trait_column,
)
from segments.definition.models import Segment
from segments.definition.nodes import Definition, segments_named
from segments.definition.parse import definition_parse

# Whatever the catalogue is read from.
TABLES = (
    "cdp_identifiertype", "cdp_trait", "cdp_eventproperty", "cdp_eventname", "cdp_purpose", "segments_segment",
    "segments_segmentversion",
)  # fmt: skip
SHOWN_UNITS = frozenset({"days", "hours", "items"})
_known: dict[tuple[str, str, str], Catalogue] = {}


def workspace_zone() -> ZoneInfo:
    """Where a day of the rules begins and ends."""
    return ZoneInfo(settings.TIME_ZONE)


def catalogue_load() -> Catalogue:
    """Every declared trait, event, property, purpose and segment. One small query; six more when anything has changed."""
    currency = settings.CONFIG.cdp_currency
    with connection.cursor() as cursor:
        version = connection.settings_dict["NAME"], currency, tables_version(cursor, TABLES)
    catalogue = _known.get(version)
    if catalogue is None:
        catalogue = _catalogue_read(currency)
        _known.clear()
        _known[version] = catalogue
    return catalogue


def _catalogue_read(currency: str) -> Catalogue:
    traits = {field.key: field for field in PROFILE_FIELDS}
    for key, title in IdentifierType.objects.values_list("key", "title"):
        name = f"identifier.{key}"
        traits[name] = Field(name, f"{title} known", "boolean", f"i_{key}")
    for trait in Trait.objects.filter(is_declared=True):
        traits[trait.key] = Field(
            key=trait.key,
            title=trait.title,
            value_type=trait.value_type,  # type: ignore[arg-type]  # the column's choices are ValueType
            column=trait_column(trait.key, is_computed=trait.is_computed),
            unit=_shown_unit(trait.unit, currency),
            is_personal=trait.is_personal,
        )
    properties = {field.key: field for field in EVENT_FIELDS}
    for found in EventProperty.objects.all():
        field = Field(found.key, found.title, found.value_type, f"p_{found.key}")  # type: ignore[arg-type]
        properties.setdefault(found.key, field)
    return Catalogue(
        traits=traits,
        properties=properties,
        events=frozenset(EventName.objects.values_list("name", flat=True)),
        purposes=dict(Purpose.objects.values_list("key", "title")),
        segments=segment_refs(),
    )


def segment_refs() -> dict[str, SegmentRef]:
    """Every segment with the keys that its current rule names."""
    return {
        segment.key: SegmentRef(
            segment.segment_no, segment.title, frozenset(_named(segment)), is_archived=segment.state == "archived"
        )
        for segment in Segment.objects.select_related("current_version")
    }


def segments_naming(key: str) -> list[Segment]:
    """Segments in use whose current rule names ``key``, by title."""
    found = Segment.objects.exclude(state="archived").select_related("current_version").order_by("title")
    return [segment for segment in found if key in _named(segment)]


def segments_behind(key: str) -> set[int]:
    """Numbers of the segments whose members the rule of ``key`` rests on, directly or through others; not its own."""
    refs = segment_refs()
    waiting, found = [key], set[str]()
    while waiting:
        named = refs[waiting.pop()].refers_to & refs.keys()
        waiting.extend(named - found)
        found |= named
    return {refs[name].segment_no for name in found - {key}}


def definition_stored(segment: Segment) -> Definition:
    """The current rule of a segment. Raises LookupError for a segment without one."""
    if segment.current_version is None:
        raise LookupError(f"segment {segment.segment_no} has no rule")
    return definition_parse(segment.current_version.definition)


def _named(segment: Segment) -> frozenset[str]:
    if segment.current_version is None:
        return frozenset()
    return segments_named(definition_stored(segment).where)


def _shown_unit(unit: str, currency: str) -> str:
    return currency if unit == "currency" else unit if unit in SHOWN_UNITS else ""
