"""Why is this one person in a segment, or not? From the same views and the same core as the count."""

import datetime as dt

from cdp.core.ids import ProfileNo
from segments.audiences.engine import engine_open, needs_of
from segments.audiences.models import Membership
from segments.definition.evaluate import Person
from segments.definition.explain import Why, definition_explain
from segments.definition.lower import Moment, definition_lower
from segments.definition.nodes import Definition, EventNode, node_walk
from segments.definition.selectors import catalogue_load, workspace_zone

__all__ = ["profile_explain"]

EXPLAIN_SECONDS = 15.0


def profile_explain(definition: Definition, profile_no: ProfileNo, as_of: dt.datetime) -> Why | None:
    """The rule as a tree of rows that hold or not for this person now; None when the person does not exist."""
    moment = Moment(as_of, workspace_zone(), catalogue_load())
    core = definition_lower(definition.where, moment)
    names = sorted({node.event for _, node in node_walk(definition.where) if isinstance(node, EventNode)})
    with engine_open() as engine:
        tables = engine.tables(needs_of([core]))
        people = tables.profiles.filter(tables.profiles.profile_no == int(profile_no))
        found = engine.rows(people, seconds=EXPLAIN_SECONDS)
        events = []
        if found and names:
            of_person = tables.events.filter(
                tables.events.profile_no == int(profile_no), tables.events.name.isin(names)
            ).drop("properties")
            events = engine.rows(of_person, seconds=EXPLAIN_SECONDS)
    if not found:
        return None
    held = Membership.objects.filter(profile_no=profile_no, exited_at=None).values_list("segment_no", flat=True)
    person = Person(str(found[0]["profile_id"]), found[0], events, frozenset(held))
    return definition_explain(definition.where, person, moment)
