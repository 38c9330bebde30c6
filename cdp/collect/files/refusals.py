"""The file of rejects: what was not taken, by line, with the reason and the row, safe to open in a spreadsheet.

What a run has committed stays; what a killed run wrote beyond that is cut off when it goes on.
"""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cdp.core.errors import Problem

COLUMNS = ("line", "field", "code", "reason", "raw", "taken")
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\x00", "|", "%", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One problem of one row. ``is_kept``: the rest of the row was taken."""

    line: int
    problem: Problem
    raw: str
    is_kept: bool = False


def formula_safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what could be one."""
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def refusals_append(path: Path, committed_bytes: int, refusals: Sequence[Refusal]) -> int:
    """Write ``refusals`` after the first ``committed_bytes`` of the file and make them durable; returns its new length.

    The caller commits that length with the rows themselves, so file and database agree after any kill.
    """
    if not refusals and committed_bytes == 0:
        return 0
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("ab") as file:
        file.truncate(committed_bytes)
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        if committed_bytes == 0:
            writer.writerow(COLUMNS)
        for each in refusals:
            writer.writerow(
                [
                    each.line,
                    formula_safe(each.problem.field),
                    each.problem.code,
                    formula_safe(each.problem.message),
                    formula_safe(each.raw),
                    "partly" if each.is_kept else "no",
                ]
            )
        file.write(text.getvalue().encode("utf-8", "replace"))
        file.flush()
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)
