"""Every page of the admin by name; the ones of one thing are found by following links, as a person would."""

import re

from playwright.sync_api import Page

FIXED = {
    "overview": "/admin/",
    "segments": "/admin/segments/",
    "segment-new": "/admin/segments/new/?cell=54",
    "people": "/admin/people/",
    "audiences": "/admin/audiences/",
    "audience-new": "/admin/audiences/new/",
    "models": "/admin/models/",
    "consent": "/admin/consent/",
    "signals": "/admin/consent/signals/",
    "identity": "/admin/identity/",
    "sources": "/admin/sources/",
    "source-new": "/admin/sources/new/",
    "refused-rows": "/admin/sources/refused/",
    "destinations": "/admin/destinations/",
    "destination-account-new": "/admin/destinations/new/meta_custom_audiences/",
    "settings": "/admin/settings/",
    "api-key-new": "/admin/settings/keys/new/",
    "audit": "/admin/settings/audit/",
    "staff": "/admin/auth/user/",
    "staff-new": "/admin/auth/user/add/",
    "traits": "/admin/cdp/trait/",
    "purposes": "/admin/cdp/purpose/",
    "identifier-types": "/admin/cdp/identifiertype/",
    "event-names": "/admin/cdp/eventname/",
    "event-property-new": "/admin/cdp/eventproperty/add/",
    "password": "/admin/password_change/",
}
# name → (page to look on, pattern of the address, how many to skip)
FOUND = {
    "segment": ("/admin/segments/", r"/admin/segments/(?!new|preview)[a-z0-9_-]+/$", 0),
    "audience": ("/admin/audiences/", r"/admin/audiences/\d+/$", -1),
    "model-recency": ("/admin/models/", r"/admin/models/runs/\d+/$", 0),
    "model-value": ("/admin/models/", r"/admin/models/runs/\d+/$", 1),
    "model-clusters": ("/admin/models/", r"/admin/models/runs/\d+/$", 2),
    "model-intent": ("/admin/models/", r"/admin/models/runs/\d+/$", 3),
    "source": ("/admin/sources/", r"/admin/sources/\d+/$", 0),
    "refused-rows-again": ("/admin/sources/refused/", r"/admin/sources/\d+/replay/[\w-]+/$", 0),
    "destination-account": ("/admin/destinations/", r"/admin/destinations/accounts/[^/]+/$", 0),
    "staff-change": ("/admin/auth/user/", r"/admin/auth/user/\d+/change/$", 0),
    "purpose-change": ("/admin/cdp/purpose/", r"/admin/cdp/purpose/\d+/change/$", 0),
}


def links(page: Page, origin: str, path: str, pattern: str) -> list[str]:
    """Distinct addresses on a page that match, in order."""
    page.goto(origin + path)
    found = page.eval_on_selector_all("a[href]", "all => all.map(a => new URL(a.href).pathname)")
    return list(dict.fromkeys(href for href in found if re.search(pattern, href)))


def places_find(page: Page, origin: str) -> dict[str, str]:
    """{name: path} of every page that this site has."""
    places = dict(FIXED)
    for name, (path, pattern, place) in FOUND.items():
        found = links(page, origin, path, pattern)
        if found and -len(found) <= place < len(found):
            places[name] = found[place]
    page.goto(f"{origin}/admin/audiences/")
    stopped = page.locator("tr", has=page.locator(".pill.bad")).locator('a[href*="/admin/audiences/"]')
    if stopped.count():
        places["audience-stopped"] = stopped.first.get_attribute("href") or ""
    if "segment" in places:
        places["segment-edit"] = f"{places['segment']}edit/"
        if people := links(page, origin, places["segment"], r"/admin/people/[0-9a-f-]{36}/$"):
            places["person"] = people[0]
    if "audience" in places:
        places["audience-runs"] = f"{places['audience']}runs/"
        if runs := links(page, origin, places["audience"], r"/admin/runs/\d+/$"):
            places["sync"] = runs[0]
    return places
