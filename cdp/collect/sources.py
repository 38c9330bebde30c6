"""Where data come from: websites, apps, servers, files."""

import secrets

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from cdp.access.services import audit
from cdp.collect.models import Source
from cdp.collect.selectors import sources_forget
from cdp.core.errors import RejectedError


def source_create(
    key: str, title: str, kind: str, *, actor: str, allowed_origins: str = "", is_made_up: bool = False
) -> Source:
    """A new source with a fresh write key. Raises RejectedError ``conflict`` when the key is taken."""
    try:
        with transaction.atomic():
            source = Source.objects.create(
                key=key,
                title=title,
                kind=kind,
                write_key=secrets.token_urlsafe(24),
                allowed_origins=allowed_origins,
                is_made_up=is_made_up,
            )
            audit(actor, "source_created", "source", source.source_no, {"kind": kind})
    except IntegrityError as error:
        raise RejectedError(f"There is a source called {key} already.", code="conflict", field="key") from error
    sources_forget()
    return source


def source_for_files(name: str) -> Source:
    """The source that a file's rows belong to, made at its first file. Any existing source of that key serves."""
    key = slugify(name)[:60]
    if not key:
        raise RejectedError("--source needs a name with letters or digits.", code="required", field="source")
    source, is_new = Source.objects.get_or_create(
        key=key, defaults={"title": name.strip()[:80], "kind": "file", "write_key": secrets.token_urlsafe(24)}
    )
    if is_new:
        sources_forget()
    return source
