"""``c_<purpose>``: the consent state per purpose as the engine sees it; NULL is unknown."""

from cdp.consent.models import Purpose
from cdp.profiles.columns import Column, ColumnPart, columns_register, quoted

__all__ = ["consent_columns_register"]


def _part() -> ColumnPart:
    purposes = list(Purpose.objects.order_by("key").values_list("id", "key"))
    states = ", ".join(
        f"max(state) FILTER (WHERE purpose_id = {int(number)}) AS {quoted('c_' + key)}" for number, key in purposes
    )
    return ColumnPart(
        tuple(Column(f"c_{key}", "VARCHAR") for _, key in purposes),
        f"SELECT profile_no, {states} FROM cdp_consentstate WHERE {{scope}} GROUP BY profile_no",  # noqa: S608
    )


def consent_columns_register() -> None:
    """Add the columns to the snapshot of profiles."""
    columns_register("consent", _part, table="cdp_purpose")
