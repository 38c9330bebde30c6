"""What an API key may do."""

SCOPES: dict[str, str] = {
    "collect:write": "Send tracking events from a trusted server.",
    "profiles:read": "Read profiles, their traits and segments.",
    "consents:write": "Record consents.",
    "privacy:write": "Open and read privacy requests.",
    "segments:read": "Read segments, members and explanations.",
    "segments:write": "Create and change segments.",
    "audiences:read": "Read audiences, connections and syncs.",
    "audiences:write": "Change audiences and start syncs.",
}


def unknown_scopes(scopes: list[str]) -> list[str]:
    """Those of ``scopes`` that do not exist, in the order given."""
    return [scope for scope in scopes if scope not in SCOPES]
