"""Columns of a customer file that become traits: declared with the type that their first rows show, so that rules can read them."""

import itertools
import re
from collections.abc import Sequence

from cdp.collect.files.cells import plain_cell
from cdp.collect.files.mapping import ColumnMapping
from cdp.collect.files.reading import Table
from cdp.profiles.models import Trait
from cdp.profiles.services import traits_declare
from cdp.profiles.trait_values import TraitSpec, trait_type_infer

LOOK_ROWS = 1_000
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?")  # 01234 is a postal code


def trait_columns_declare(mapping: ColumnMapping, table: Table) -> list[str]:
    """Enter the file's trait columns into the catalogue; returns the keys that were new. What is known keeps its type."""
    wanted = dict(mapping.traits)
    if "signed_up_at" in mapping.fields:
        wanted["signed_up_at"] = mapping.fields["signed_up_at"]
    known = set(Trait.objects.filter(key__in=wanted, is_declared=True).values_list("key", flat=True))
    missing = sorted(wanted.keys() - known)
    if not missing:
        return []
    rows = [row.cells for row in itertools.islice(table.rows(), LOOK_ROWS) if not row.fault]
    traits_declare(
        [
            TraitSpec(
                key=key,
                title=key.replace("_", " ").capitalize(),
                value_type="date" if key == "signed_up_at" else column_type([cells[wanted[key]] for cells in rows]),
            )
            for key in missing
        ]
    )
    return missing


def column_type(cells: Sequence[object]) -> str:
    """The one type that every filled cell has, else text."""
    found = {_cell_type(cell) for cell in map(plain_cell, cells) if cell is not None}
    return found.pop() if len(found) == 1 else "text"


def _cell_type(cell: object) -> str:
    if isinstance(cell, str):
        if _NUMBER.fullmatch(cell):
            return "number"
        if cell.lower() in {"true", "false"}:
            return "boolean"
    return trait_type_infer(cell)
