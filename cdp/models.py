"""Collects the slices' models for Django's loader; code imports a model from its slice."""

from cdp.access.models import *  # noqa: F403
from cdp.collect.models import *  # noqa: F403
from cdp.consent.models import *  # noqa: F403
from cdp.events.models import *  # noqa: F403
from cdp.identity.models import *  # noqa: F403
from cdp.profiles.models import *  # noqa: F403
