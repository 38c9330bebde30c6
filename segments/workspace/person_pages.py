"""One person: masked unless somebody asks to see, and then the look is recorded."""

import uuid

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods, require_safe

from cdp.access.services import audit
from cdp.core.time import utc_now
from cdp.identity.models import IdentityDecision
from cdp.identity.newest import identifiers_shown
from cdp.profiles.models import Profile
from cdp.profiles.selectors import profile_no_of_id
from cdp.screen.graph import graph_draw
from cdp.screen.listing import number_or_none
from cdp.screen.page import actor_name, crumb, page_render, staff_page
from cdp.screen.words import counted, short_id
from segments.audiences.explaining import segments_of_person
from segments.audiences.whys import profile_explain
from segments.computed_traits.selectors import run_in_use
from segments.definition.models import Segment
from segments.definition.selectors import definition_stored
from segments.workspace import timeline
from segments.workspace.person import bought_read, computed_read, consents_read, held_by, traits_read


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.view_profile")
def person_page(request: HttpRequest, profile_id: uuid.UUID) -> HttpResponseBase:
    """A post shows the values once and writes an audit entry; a merged person leads to the survivor."""
    profile_no = profile_no_of_id(profile_id)
    if profile_no is None:
        raise Http404
    profile = Profile.objects.get(profile_no=profile_no)
    if profile.profile_id != profile_id:
        return redirect("page:person", profile.profile_id)
    may_reveal = request.user.has_perm("cdp.change_profile")
    revealed = request.method == "POST" and may_reveal
    if revealed:
        audit(actor_name(request), "address_shown", "profile", profile_no)
    now = utc_now()
    identifiers = identifiers_shown(profile_no, revealed=revealed)
    numbers = [identifier.identifier_no for identifier in identifiers]
    merges = IdentityDecision.objects.filter(kind="merged", undone_at=None, profile_no=profile_no).count()
    computed, computed_lines = computed_read(profile_no)
    kind = request.GET.get("kind", "") if request.GET.get("kind", "") in timeline.KINDS else ""
    limit = min(number_or_none(request.GET.get("show")) or timeline.SHOWN, timeline.MOST)
    moments = timeline.timeline_read(profile_no, numbers, kind, limit, settings.CONFIG.cdp_currency)
    address = next((i for i in identifiers if i.type_key == "email"), identifiers[0] if identifiers else None)
    drawing = graph_draw(
        [(i.value, f"{i.type_title}, from {i.source_title}") for i in identifiers],
        f"{counted(len(identifiers), 'identifier', 'identifiers')} joined to this person. The table below says the same.",
    )
    return page_render(
        request,
        "segments/person.html",
        address.value if address else short_id(profile_id),
        crumbs=(crumb("People", "people"),),
        crumb_title=short_id(profile_id),
        person=profile,
        country=profile.traits.get("country"),
        revealed=revealed,
        may_reveal=may_reveal,
        identifiers=identifiers,
        merges=merges,
        drawing=drawing,
        bought=bought_read(numbers, settings.TIME_ZONE),
        computed=computed,
        ltv_run=run_in_use("ltv") if "ltv" in computed else None,
        traits=traits_read(numbers, revealed=revealed),
        computed_lines=computed_lines,
        consents=consents_read(profile_no),
        segments=segments_of_person(profile_no, now),
        held=held_by(profile_no),
        other_segments=list(Segment.objects.exclude(state="archived").order_by("title").values("key", "title")[:200]),
        days=list(timeline.days_of(moments)),
        kind=kind,
        kinds=timeline.KINDS,
        more=limit * 2 if len(moments) == limit and limit < timeline.MOST else None,
    )


@require_safe
@staff_page("segments.view_segment")
def person_why_page(request: HttpRequest, profile_id: uuid.UUID, key: str) -> HttpResponseBase:
    """Row by row, whether a segment's rule holds for this person now. A fragment: the person page asks for it when opened."""
    profile_no = profile_no_of_id(profile_id)
    segment = Segment.objects.select_related("current_version").filter(key=key).first()
    if profile_no is None or segment is None or segment.current_version is None:
        raise Http404
    why = profile_explain(definition_stored(segment), profile_no, utc_now())
    return TemplateResponse(request, "segments/parts/why.html", {"why": why, "segment": segment})
