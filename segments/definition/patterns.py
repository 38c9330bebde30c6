"""Regular expressions of rules: RE2, as DuckDB runs them, so that the engine and the in-memory check cannot differ.

RE2 has neither look-around nor back-references and runs in linear time: https://github.com/google/re2/wiki/Syntax
"""

import threading

import duckdb

from segments.definition.limits import MAX_PATTERN_CHARACTERS

_local = threading.local()


def pattern_problem(pattern: str) -> str | None:
    """Why RE2 refuses ``pattern``, or None when it is fine."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"A pattern may have {MAX_PATTERN_CHARACTERS} characters."
    try:
        pattern_matches(pattern, "")
    except duckdb.InvalidInputException as error:
        reason = str(error).removeprefix("Invalid Input Error: ").splitlines()[0]
        return (
            f"This pattern is not valid RE2 ({reason}). Look-ahead, look-behind and back-references do not exist there."
        )
    return None


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether RE2 finds ``pattern`` anywhere in ``text``."""
    found = _connection().execute("SELECT regexp_matches(?, ?)", [text, pattern]).fetchone()
    return bool(found and found[0])


def _connection() -> duckdb.DuckDBPyConnection:
    """One small in-memory DuckDB per thread, since a connection serves one thread at a time."""
    if not hasattr(_local, "connection"):
        _local.connection = duckdb.connect(config={"threads": 1, "memory_limit": "64MB"})
    connection: duckdb.DuckDBPyConnection = _local.connection
    return connection
