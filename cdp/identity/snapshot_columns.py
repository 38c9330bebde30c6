"""``i_<type>``: whether a person has an identifier of a type, as the engine sees it."""

from cdp.identity.models import IdentifierType
from cdp.profiles.columns import Column, ColumnPart, columns_register, quoted

__all__ = ["identity_columns_register"]


def _part() -> ColumnPart:
    types = list(IdentifierType.objects.order_by("key").values_list("id", "key"))
    has = ", ".join(f"bool_or(type_id = {int(number)}) AS {quoted('i_' + key)}" for number, key in types)
    return ColumnPart(
        tuple(Column(f"i_{key}", "BOOLEAN") for _, key in types),
        f"SELECT profile_no, {has} FROM cdp_identifier WHERE {{scope}} GROUP BY profile_no",  # noqa: S608
        missing="false",
    )


def identity_columns_register() -> None:
    """Add the columns to the snapshot of profiles."""
    columns_register("identity", _part, table="cdp_identifiertype")
