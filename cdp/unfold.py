"""Menu, colours and words of the admin (read by settings)."""

UNFOLD: dict[str, object] = {"SITE_TITLE": "Audience", "SITE_HEADER": "Audience"}
