"""How an ad network is called on screen: by its own title, not by our key for it."""

from django import template

from segments.destinations.registry import destinations

register = template.Library()


@register.filter
def destination_title(slug: str) -> str:
    """``google_data_manager`` → Google Customer Match; a key that is no destination (any more) in plain words."""
    found = destinations().get(slug)
    return found.title if found else slug.replace("_", " ").capitalize()
