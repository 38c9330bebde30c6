"""Collects the slices' models for Django's loader; code imports a model from its slice."""

from segments.activation.models import *  # noqa: F403
from segments.audiences.models import *  # noqa: F403
from segments.computed_traits.models import *  # noqa: F403
from segments.definition.models import *  # noqa: F403
