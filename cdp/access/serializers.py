"""Input that names every field it takes."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses keys it does not know: a misspelt filter must not mean "everything"."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            writable = {name for name, field in self.fields.items() if not field.read_only}
            unknown = [str(key) for key in data if key not in writable]
            if unknown:
                known = ", ".join(sorted(writable))
                raise serializers.ValidationError(
                    {key[:80]: [f"Unknown field. Known here: {known}."] for key in unknown}, code="unknown"
                )
        return super().to_internal_value(data)
