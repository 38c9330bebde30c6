"""Destinations: which networks there are, what each needs, and the accounts at them. Secrets go in and never come out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.text import slugify
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.consent.models import DestinationPurpose, Purpose
from cdp.consent.services import destination_purposes_map
from cdp.core.errors import RejectedError
from cdp.screen.page import actor_name, crumb, page_render, staff_page
from segments.activation.models import Connection
from segments.activation.services import ConnectionProblemsError, connection_resume, connection_save
from segments.destinations.contract import Destination, SecretSpec, SettingSpec
from segments.destinations.registry import destinations


@require_safe
@staff_page("segments.view_connection")
def destinations_page(request: HttpRequest) -> HttpResponseBase:
    """Every network with what it takes, its purposes and our accounts."""
    mapped = dict(DestinationPurpose.objects.values_list("destination", "purposes"))
    accounts = Connection.objects.annotate(lists=Count("targets")).order_by("title")
    by_slug: dict[str, list[Connection]] = {}
    for account in accounts:
        by_slug.setdefault(account.destination, []).append(account)
    return page_render(
        request,
        "segments/destinations.html",
        "Destinations",
        lines=[
            (slug, destination, mapped.get(slug, []), by_slug.get(slug, []))
            for slug, destination in destinations().items()
        ],
        purposes=list(Purpose.objects.all()),
    )


@require_POST
@staff_page("cdp.change_destinationpurpose")
def purposes_page(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Say which purposes people must have granted."""
    if slug not in destinations():
        raise Http404
    try:
        destination_purposes_map(slug, request.POST.getlist("purposes"), actor_name(request))
    except RejectedError:
        messages.error(request, "Choose at least one purpose: without one nobody can be sent there.")
    else:
        messages.success(request, "Saved. It counts from the next run, and for every person that is sent.")
    return redirect("page:destinations")


@dataclass(frozen=True, slots=True)
class AccountField:
    """One input of the form."""

    name: str
    spec: SettingSpec | SecretSpec
    value: str = ""
    problem: str = ""


@dataclass(slots=True)
class AccountForm:
    """What was entered. A secret that is left empty keeps the stored one."""

    title: str = ""
    base_url: str = ""
    is_sandbox: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def form_read(post: Mapping[str, str], destination: Destination) -> AccountForm:
    facts = destination.capabilities
    return AccountForm(
        title=post.get("title", "").strip(),
        base_url=post.get("base_url", "").strip(),
        is_sandbox=post.get("is_sandbox") == "yes",
        settings={s.key: v for s in facts.settings if (v := post.get(f"settings.{s.key}", "").strip())},
        secrets={s.key: v for s in facts.secrets if (v := post.get(f"secrets.{s.key}", "").strip())},
    )


def account_render(
    request: HttpRequest, destination: Destination, form: AccountForm, account: Connection | None
) -> HttpResponseBase:
    facts = destination.capabilities
    return page_render(
        request,
        "segments/connection_form.html",
        account.title if account else f"New account: {destination.title}",
        crumbs=(crumb("Destinations", "destinations"),),
        status=400 if form.problems else 200,
        destination=destination,
        account=account,
        form=form,
        problems=form.problems,
        settings_fields=[
            AccountField(
                f"settings.{s.key}",
                s,
                form.settings.get(s.key, s.default if account is None and request.method == "GET" else ""),
                form.problems.get(f"settings.{s.key}", ""),
            )
            for s in facts.settings
        ],
        secret_fields=[
            AccountField(f"secrets.{s.key}", s, "", form.problems.get(f"secrets.{s.key}", "")) for s in facts.secrets
        ],
    )


def account_save(request: HttpRequest, form: AccountForm, slug: str, account: Connection | None) -> Connection | None:
    """The saved account, or None with ``form.problems`` filled in."""
    key = account.key if account else slugify(form.title).replace("-", "_")[:60]
    if not key:
        form.problems["title"] = "Enter a name with letters or digits."
    elif account is None and Connection.objects.filter(key=key).exists():
        form.problems["title"] = "There is an account with this name already. Enter another name."
    if form.problems:
        return None
    try:
        return connection_save(
            key,
            form.title,
            slug,
            base_url=form.base_url,
            settings=form.settings,
            secrets=form.secrets or (None if account else {}),
            is_sandbox=form.is_sandbox,
            actor=actor_name(request),
        )
    except ConnectionProblemsError as error:
        form.problems |= {problem.field: problem.message for problem in error.problems}
    except RejectedError as error:
        form.problems[error.field] = error.message
    return None


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("segments.add_connection")
def connection_new_page(request: HttpRequest, slug: str) -> HttpResponseBase:
    """A new account at a network."""
    destination = destinations().get(slug)
    if destination is None:
        raise Http404
    if request.method == "POST":
        form = form_read(request.POST, destination)
        if account_save(request, form, slug, None) is not None:
            messages.success(request, "Saved. The secrets are sealed; they can be replaced, never read.")
            return redirect("page:destinations")
        return account_render(request, destination, form, None)
    return account_render(request, destination, AccountForm(base_url=destination.default_base_url), None)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("segments.change_connection")
def connection_page(request: HttpRequest, key: str) -> HttpResponseBase:
    """Change an account, replace its secrets, or let it go on after a pause."""
    account = Connection.objects.filter(key=key).first()
    destination = destinations().get(account.destination) if account else None
    if account is None or destination is None:
        raise Http404
    if request.method == "POST" and request.POST.get("act") == "resume":
        connection_resume(key, actor=actor_name(request))
        messages.success(request, "The account goes on where it stopped.")
        return redirect("page:connection", key)
    if request.method == "POST":
        form = form_read(request.POST, destination)
        if account_save(request, form, account.destination, account) is not None:
            messages.success(request, "Saved.")
            return redirect("page:connection", key)
        return account_render(request, destination, form, account)
    shown = AccountForm(account.title, account.base_url, account.is_sandbox, dict(account.settings))
    return account_render(request, destination, shown, account)
