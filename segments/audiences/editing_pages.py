"""Write a rule: new or changed, with the live count beside it, and every problem named by its place."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.errors import Problem, RejectedError, RetryableError
from cdp.core.time import utc_now
from cdp.screen.listing import number_or_none
from cdp.screen.page import actor_name, crumb, page_render, staff_page
from cdp.screen.words import number, signed
from segments.audiences.services import Evaluation, segment_archive, segment_evaluate, segment_preview
from segments.audiences.starters import rule_text, starter_of, starters_offered
from segments.definition.limits import DefinitionError
from segments.definition.models import Segment
from segments.definition.nodes import node_walk
from segments.definition.parse import definition_parse
from segments.definition.selectors import catalogue_load
from segments.definition.sentence import definition_sentence, node_phrase
from segments.definition.services import segment_save

EMPTY_RULE: dict[str, Any] = {"version": 1, "where": {"type": "all", "conditions": []}}


def rule_read(text: str) -> object:
    """The JSON of the editor. Raises DefinitionError naming the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        words = f"Line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}."
        raise DefinitionError([Problem("", "json", words)]) from None


def problems_of(error: RejectedError) -> list[Problem]:
    """Every place that is wrong, or the one."""
    if isinstance(error, DefinitionError):
        return list(error.problems)
    return [Problem(error.field, error.code, error.message)]


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("segments.add_segment")
def segment_new_page(request: HttpRequest) -> HttpResponseBase:
    """A new segment: empty, from a template, or from a cell, name or cluster of a chart."""
    if request.method == "POST":
        return save(request, None)
    starter = starter_of(request.GET)
    values = {
        "title": starter.title if starter else "",
        "key": "",
        "description": "",
        "definition": rule_text(starter.definition if starter else EMPTY_RULE),
        "reason": "",
    }
    return editor(request, None, values, [])


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("segments.change_segment")
def segment_edit_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """The next version of a segment."""
    segment = Segment.objects.select_related("current_version").filter(key=key).exclude(state="archived").first()
    if segment is None:
        raise Http404
    if request.method == "POST":
        return save(request, segment)
    current = segment.current_version
    values = {
        "title": segment.title,
        "key": segment.key,
        "description": segment.description,
        "definition": rule_text(current.definition if current else EMPTY_RULE),
        "reason": "",
        "expected_version": str(current.version) if current else "",
    }
    return editor(request, segment, values, [])


def save(request: HttpRequest, segment: Segment | None) -> HttpResponseBase:
    """Save, or show the form again with what to mend; the draft is kept either way."""
    values = {name: request.POST.get(name, "") for name in ("title", "key", "description", "definition", "reason")}
    values["expected_version"] = request.POST.get("expected_version", "")
    key = segment.key if segment else values["key"].strip() or slugify(values["title"]).replace("-", "_")[:60]
    if segment is None and Segment.objects.filter(key=key).exists():
        problem = Problem("key", "conflict", f"There is a segment with the key {key} already. Enter another key.")
        return editor(request, segment, values, [problem])
    expected = int(values["expected_version"]) if values["expected_version"].isdigit() else None
    try:
        version = segment_save(
            key,
            values["title"],
            rule_read(values["definition"]),
            request.user,  # type: ignore[arg-type]  # staff_page lets nobody else in
            values["reason"],
            now=utc_now(),
            actor=actor_name(request),
            description=values["description"],
            expected_version=expected,
        )
    except RejectedError as error:
        return editor(request, segment, values, problems_of(error))
    tell(request, f"Saved as version {version.version}.", segment_evaluate(version.segment_id, utc_now()))
    return redirect("page:segment", key)


def tell(request: HttpRequest, head: str, evaluation: Evaluation) -> None:
    """How the count went, in a sentence."""
    match evaluation.state:
        case "ready":
            change = f"{signed(evaluation.joined)} joined, {signed(-evaluation.left)} left"
            messages.success(request, f"{head} {number(evaluation.size)} people: {change}.".strip())
        case "failed":
            messages.error(request, f"{head} The count failed: {evaluation.error}".strip())
        case _:
            messages.info(request, f"{head} A worker is counting it already.".strip())


def editor(
    request: HttpRequest, segment: Segment | None, values: Mapping[str, str], problems: list[Problem]
) -> HttpResponseBase:
    """The form. A conflict shows what somebody else saved meanwhile."""
    catalogue = catalogue_load()
    meanwhile = None
    if segment is not None and any(p.field == "expected_version" for p in problems):
        meanwhile = Segment.objects.select_related("current_version__created_by").get(pk=segment.pk).current_version
    own = {"title", "key", "reason", "expected_version"}
    return page_render(
        request,
        "segments/segment_form.html",
        f"Edit {segment.title}" if segment else "New segment",
        crumbs=(crumb("Segments", "segments"), *((crumb(segment.title, "segment", segment.key),) if segment else ())),
        crumb_title="Edit" if segment else "New segment",
        status=400 if problems else 200,
        segment=segment,
        values=values,
        field_problems={p.field: p.message for p in problems if p.field in own},
        rule_problems=[p for p in problems if p.field not in own],
        meanwhile=meanwhile,
        starters=() if segment else starters_offered(catalogue.segments),
        traits=sorted(catalogue.traits.values(), key=lambda field: field.key),
        events=sorted(catalogue.events),
        properties=sorted(catalogue.properties.values(), key=lambda field: field.key),
        purposes=catalogue.purposes,
        segment_keys=sorted(key for key, ref in catalogue.segments.items() if not ref.is_archived),
    )


@require_POST
@staff_page("segments.view_segment")
def segment_preview_page(request: HttpRequest) -> HttpResponseBase:
    """The result column as HTML: first the count and the sentence, or what to mend; asked again, rows and reach too."""
    is_full = request.POST.get("part") == "full"
    context: dict[str, Any] = {}
    try:
        definition = rule_read(request.POST.get("definition", ""))
        preview = segment_preview(definition, utc_now(), with_rows=is_full, with_reach=is_full)
        parsed, catalogue = definition_parse(definition), catalogue_load()
        nodes = dict(node_walk(parsed.where))
        context = {
            "preview": preview,
            "is_full": is_full,
            # the time of the count itself, which the first answer told
            "took_ms": number_or_none(request.POST.get("took_ms")) or round(preview.took_ms),
            "sentence": definition_sentence(parsed, catalogue),
            "share": preview.count / preview.people if preview.people else None,
            "effects": [(row, node_phrase(nodes[row.path], catalogue)) for row in preview.rows if row.path != "where"],
            "reaches": [
                (reach, reach.destination or catalogue.purposes.get(reach.purposes[0], reach.purposes[0]))
                for reach in preview.reach
            ],
        }
    except RejectedError as error:
        context = {"problems": problems_of(error)}
    except RetryableError:
        context = {"busy": True}
    return TemplateResponse(request, "segments/parts/preview.html", context)


@require_POST
@staff_page("segments.change_segment")
def segment_refresh_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """Count now, in this very request: it works without a worker, and is stopped when it takes too long."""
    segment = Segment.objects.filter(key=key).exclude(state="archived").first()
    if segment is None:
        raise Http404
    tell(request, "", segment_evaluate(segment.segment_no, utc_now()))
    return redirect("page:segment", key)


@require_POST
@staff_page("segments.change_segment")
def segment_archive_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """Archive; refused while an audience or another rule uses it."""
    try:
        segment_archive(key, actor=actor_name(request), now=utc_now())
    except RejectedError as error:
        messages.error(request, f"Not archived: {error.message}")
        return redirect("page:segment", key)
    messages.success(request, "Archived. Its history stays.")
    return redirect("page:segments")
