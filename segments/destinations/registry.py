"""Which destinations there are: every module of this package that offers ``DESTINATION``.

A module that does not keep the contract stops the start with a sentence, rather than failing in the middle of a sync.
"""

import importlib
import pkgutil
from functools import cache
from types import ModuleType

import segments.destinations as package
from segments.destinations.contract import IDENTIFIER_TYPES, Destination

__all__ = ["BadDestinationError", "destination_find", "destination_from_module", "destinations"]


class BadDestinationError(TypeError):
    """A file offers a destination that does not keep the contract."""


@cache
def destinations() -> dict[str, Destination]:
    """{slug: destination}, by title. Raises BadDestinationError."""
    found: dict[str, Destination] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        if hasattr(module, "DESTINATION"):
            destination = destination_from_module(module)
            found[destination.slug] = destination
    return dict(sorted(found.items(), key=lambda item: item[1].title))


def destination_find(slug: str) -> Destination:
    """Raises LookupError naming the destinations that exist."""
    try:
        return destinations()[slug]
    except KeyError:
        raise LookupError(f"no destination {slug!r}; there are {', '.join(destinations())}") from None


def destination_from_module(module: ModuleType) -> Destination:
    """The module's destination, checked. Raises BadDestinationError naming the module and what is missing."""
    destination = module.DESTINATION
    name = module.__name__.rpartition(".")[2]
    if not isinstance(destination, Destination):
        missing = [m for m in dir(Destination) if not m.startswith("_") and not hasattr(destination, m)]
        raise BadDestinationError(f"{name}: DESTINATION lacks {', '.join(missing)}")
    facts = destination.capabilities
    checks = {
        f"its slug must be the file's name, not {destination.slug!r}": destination.slug == name,
        "it needs a title": bool(destination.title),
        "it uses no identifier type that we hold": bool(facts.identifier_types)
        and set(facts.identifier_types) <= set(IDENTIFIER_TYPES),
        "max_batch_rows must be at least 1": facts.max_batch_rows >= 1,
        "default_base_url must be https": destination.default_base_url.startswith("https://"),
        "secrets_needed names a secret that has no spec": {k for keys in facts.secrets_needed for k in keys}
        <= {spec.key for spec in facts.secrets},
    }
    if broken := [text for text, holds in checks.items() if not holds]:
        raise BadDestinationError(f"{name}: {'; '.join(broken)}")
    return destination
