"""Reading a rule from an HTTP body: at most 300 KB, JSON with numbers as written, never a crash on nesting."""

from collections.abc import Mapping
from typing import IO, Any

import msgspec
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from cdp.access.exceptions import ErrorReply
from segments.definition.limits import MAX_BYTES, DefinitionError

LARGEST_BODY = MAX_BYTES + 44 * 1024


class TooLargeError(APIException):
    """413."""

    status_code = 413
    default_code = "too_large"
    default_detail = f"A request with a rule may have {LARGEST_BODY // 1024} KB."


class RuleParser(BaseParser):
    """``application/json`` for requests that carry a rule."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise TooLargeError
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ParseError("The body is not JSON that can be read.") from error


def definition_refusal(error: DefinitionError, field: str = "definition") -> Response:
    """400 with every problem; paths start at the body's ``field``."""
    problems = [
        type(problem)(f"{field}.{problem.field}" if problem.field else field, problem.code, problem.message)
        for problem in error.problems
    ]
    message = "The rule needs a change; see errors."
    return Response(ErrorReply(400, "invalid", message, problems).body(), status=400)
