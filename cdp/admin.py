"""Django finds the slices' admin modules through this one."""

from cdp.access import admin as access
from cdp.consent import admin as consent
from cdp.events import admin as events
from cdp.identity import admin as identity
from cdp.profiles import admin as profiles

__all__ = ["access", "consent", "events", "identity", "profiles"]
