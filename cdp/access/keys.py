"""The keys that encrypt fields and index identifiers, as the settings give them."""

from functools import cache

from django.conf import settings

from cdp.core.crypto import Keyring


@cache
def keyring() -> Keyring:
    """The process's keyring; keys are derived once."""
    return Keyring.from_secrets(settings.CDP_ENCRYPTION_KEYS, settings.CDP_INDEX_KEY)
