"""Menu, colours and words of the admin (read by settings). Names slices by string only."""

from collections.abc import Callable

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

type Entry = dict[str, object]


def allowed(permission: str) -> Callable[[HttpRequest], bool]:
    """Whether the person at the screen holds ``permission``."""

    def ask(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return ask


def below(*prefixes: str) -> Callable[[HttpRequest], bool]:
    """Whether the page stands below one of these addresses."""

    def ask(request: HttpRequest) -> bool:
        return request.path.startswith(prefixes)

    return ask


def entry(title: str, icon: str, name: str, permission: str, *, badge_key: str = "") -> Entry:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(name),
        "permission": allowed(permission),
        "badge_key": badge_key,
    }


def stylesheet(path: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(path)


UNFOLD: dict[str, object] = {
    "SITE_TITLE": "Audience",
    "SITE_HEADER": "Audience",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "GLOBAL_CALLBACK": "segments.workspace.shell.shell_context",
    "STYLES": [stylesheet(f"cdp/{name}.css") for name in ("tokens", "frame", "parts", "pages")],
    "SCRIPTS": [stylesheet("cdp/ui.js")],
    "COMMAND": {"search_callback": "segments.workspace.shell.palette_search"},
    "COLORS": {
        "base": {
            "50": "#f6f7f8",
            "100": "#f2f4f5",
            "200": "#e2e6ea",
            "300": "#cfd5db",
            "400": "#818b97",
            "500": "#65707d",
            "600": "#4f5b68",
            "700": "#37434d",
            "800": "#28323b",
            "900": "#151b21",
            "950": "#0e1317",
        },
        "primary": {
            "50": "#f0f8f6",
            "100": "#e4f2f0",
            "200": "#b9ddd7",
            "300": "#9fd0c9",
            "400": "#5cc9ba",
            "500": "#5cc9ba",
            "600": "#0b6e64",
            "700": "#0a5c54",
            "800": "#0a544c",
            "900": "#083f39",
            "950": "#05201d",
        },
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    entry("Overview", "home", "admin:index", "cdp.view_profile"),
                    entry("Segments", "filter", "page:segments", "segments.view_segment", badge_key="segments"),
                    entry("People", "person", "page:people", "cdp.view_profile"),
                    entry("Audiences", "sync", "page:audiences", "segments.view_audiencetarget", badge_key="audiences"),
                    entry("Models", "bars", "page:models", "segments.view_modelrun"),
                ]
            },
            {
                "title": "Trust",
                "items": [
                    entry("Consent & privacy", "shield", "page:consent", "cdp.view_consentrecord"),
                    entry("Identity", "link", "page:identity", "cdp.view_identitydecision"),
                ],
            },
            {
                "title": "Set-up",
                "items": [
                    entry("Data sources", "plug", "page:sources", "cdp.view_source"),
                    entry("Destinations", "out", "page:destinations", "segments.view_connection"),
                    entry("Settings", "gear", "page:settings", "cdp.view_auditentry")
                    | {"active": below("/admin/settings/", "/admin/auth/", "/admin/cdp/")},
                ],
            },
        ]
    },
}
