"""People, found by id or address, and the decisions that joined or parted them."""

import uuid

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.access.services import audit
from cdp.core.errors import RejectedError
from cdp.core.time import utc_now
from cdp.identity.models import Identifier, IdentifierType, IdentityDecision
from cdp.identity.newest import people_newest
from cdp.identity.selectors import profile_find
from cdp.identity.services import merge_undo, profile_erase, profiles_merge
from cdp.profiles.models import Profile
from cdp.profiles.selectors import profile_no_of_id
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.page import actor_name, page_render, staff_page
from cdp.screen.remember import remembered, remembered_forget

PAGE_ROWS = 50
NEWEST_ROWS = 25
FIGURE_SECONDS = 60.0
KINDS = {"merged": "Joined", "unmerged": "Parted", "demoted": "Gave way", "blocked": "Blocked"}


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("cdp.view_profile")
def people_page(request: HttpRequest) -> HttpResponseBase:
    """Find one person; below, those who were seen last. The address is posted, so that it stands in no URL and no log."""
    problem, wanted_type = "", request.POST.get("type", "")
    if request.method == "POST":
        try:
            profile_no = profile_find(wanted_type, request.POST.get("value", "").strip())
        except RejectedError as error:
            problem = error.message[:1].upper() + error.message[1:]
        else:
            audit(actor_name(request), "profile_looked_up", "profile", profile_no or "none", {"type": wanted_type})
            if profile_no is not None:
                profile = Profile.objects.only("profile_id").get(profile_no=profile_no)
                return redirect("page:person", profile.profile_id)
            problem = "Nobody holds this value. Look at the spelling, or choose another kind of identifier."
    return page_render(
        request,
        "cdp/people.html",
        "People",
        status=404 if problem else 200,
        types=list(IdentifierType.objects.all()),
        wanted_type=wanted_type,
        problem=problem,
        newest=people_newest(NEWEST_ROWS),
    )


@require_safe
@staff_page("cdp.view_identitydecision")
def identity_page(request: HttpRequest) -> HttpResponseBase:
    """Decisions, newest first: what was joined, parted, given way, blocked, and why."""
    kind = request.GET.get("kind", "")
    before_no = number_or_none(request.GET.get("before"))
    decisions = IdentityDecision.objects.order_by("-decision_no")
    decisions = decisions.filter(kind=kind) if kind in KINDS else decisions.filter(kind__in=KINDS)
    if before_no is not None:
        decisions = decisions.filter(decision_no__lt=before_no)
    found = list(decisions[: PAGE_ROWS + 1])
    listed = page_of(found, PAGE_ROWS, [d.decision_no for d in found], is_first=before_no is None)
    numbers = {d.profile_no for d in listed.rows} | {d.other_profile_no for d in listed.rows if d.other_profile_no}
    ids = dict(Profile.objects.filter(profile_no__in=numbers).values_list("profile_no", "profile_id"))
    now = utc_now()
    counts = remembered("identity.decisions", FIGURE_SECONDS, now, decisions_count).value
    return page_render(
        request,
        "cdp/identity.html",
        "Identity",
        kinds=[(key, words, counts.get(key, 0)) for key, words in KINDS.items()],
        kind=kind,
        listed=listed,
        lines=[(d, ids.get(d.profile_no), ids.get(d.other_profile_no or 0)) for d in listed.rows],
        types=list(IdentifierType.objects.all()),
        held=remembered("identity.held", FIGURE_SECONDS, now, identifiers_count).value,
    )


def identifiers_count() -> dict[int, int]:
    """{type id: identifiers held}; a pass over all of them."""
    return dict(Identifier.objects.values_list("type_id").annotate(n=Count("pk")))


def decisions_count() -> dict[str, int]:
    """{kind: decisions} of the kinds that are shown."""
    return dict(IdentityDecision.objects.filter(kind__in=KINDS).values_list("kind").annotate(n=Count("pk")))


@require_POST
@staff_page("cdp.change_identitydecision")
def merge_undo_page(request: HttpRequest, decision_no: int) -> HttpResponseBase:
    """Part two people again."""
    try:
        merge_undo(decision_no, actor_name(request), utc_now())
    except RejectedError as error:
        messages.error(request, f"Not parted: {error.message}")
    else:
        remembered_forget()
        messages.success(request, "Parted again. Traits, consents, segments and audiences of both follow.")
    return redirect("page:identity")


@require_POST
@staff_page("cdp.change_identitydecision")
def merge_page(request: HttpRequest, profile_id: uuid.UUID) -> HttpResponseBase:
    """Join another person, named by id, to this one."""
    winner_no = profile_no_of_id(profile_id)
    if winner_no is None:
        raise Http404
    try:
        # nobody has the number 0, so an id of nobody is refused like any other number without a profile
        loser_no = profile_find("profile_id", request.POST.get("other", "").strip()) or 0
        profiles_merge(winner_no, loser_no, request.POST.get("reason", ""), actor_name(request), utc_now())
    except RejectedError as error:
        messages.error(request, f"Not joined: {error.message}")
    else:
        remembered_forget()
        messages.success(request, "Joined. The Identity page parts them again.")
    return redirect("page:person", profile_id)


@require_POST
@staff_page("cdp.delete_profile")
def erase_page(request: HttpRequest, profile_id: uuid.UUID) -> HttpResponseBase:
    """Erase a person everywhere; asked for twice, by a tick."""
    profile_no = profile_no_of_id(profile_id)
    if profile_no is None:
        raise Http404
    if request.POST.get("sure") != "yes":
        messages.error(request, "Nothing was erased: tick the box that says so.")
        return redirect("page:person", profile_id)
    erasure = profile_erase(profile_no, actor_name(request), utc_now())
    remembered_forget()
    messages.success(
        request,
        f"Erased: {erasure.identifiers} identifiers with their traits, events and consents. "
        "Networks are told in the lane of removals.",
    )
    return redirect("page:people")
