"""Write docs/openapi.yaml, the published form of the REST API."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

from cdp.config import BASE_DIR

PATH = BASE_DIR / "docs" / "openapi.yaml"


def openapi_text() -> str:
    """The schema as YAML. Raises CommandError when the generator had to guess."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    if GENERATOR_STATS:
        raise CommandError("The API document had to guess; the places stand above.")
    validate_schema(schema)  # type: ignore[no-untyped-call]
    return str(OpenApiYamlRenderer().render(schema, renderer_context={}).decode())  # type: ignore[no-untyped-call]


class Command(BaseCommand):
    help = "Write docs/openapi.yaml, or compare it with the code (--check)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        text = openapi_text()
        if options["check"]:
            if not PATH.exists() or PATH.read_text(encoding="utf-8") != text:
                raise CommandError("docs/openapi.yaml is out of date. Next: ./run manage openapi")
            return
        PATH.write_text(text, encoding="utf-8")
        self.stdout.write(f"wrote {PATH.relative_to(BASE_DIR)}")
