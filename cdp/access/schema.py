"""What the OpenAPI file says about keys and errors, once for every operation."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message", "errors"],
    "properties": {
        "code": {"type": "string", "description": "Stable and machine-readable."},
        "message": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "A path such as `conditions[2].value`."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
ANSWERS = {
    "400": "The request is not valid; `errors` names the fields.",
    "401": "No key, or one that is unknown, expired or revoked.",
    "403": "The key lacks the scope.",
    "404": "Not found.",
    "405": "The method is not offered here.",
    "406": "Only JSON is served.",
    "409": "In conflict with what is stored.",
    "413": "Too large.",
    "415": "Only JSON is read.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "503": "Out of reach for the moment; `Retry-After` says when to come back.",
}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Names the key in the OpenAPI file."""

    target_class = "cdp.access.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer cdp_…`"}


def errors_declare(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """spectacular hook: every operation may answer each error, always with the one error body."""
    result.setdefault("components", {}).setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path in result.get("paths", {}).values():
        for operation in path.values():
            for status, description in ANSWERS.items():
                operation["responses"].setdefault(status, {"description": description, "content": content})
    return result
