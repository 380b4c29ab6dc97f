"""What all models of the wire have in common. The models themselves are in the ``schemas`` modules beside it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


def example(value: dict[str, Any]) -> ConfigDict:
    """The part of a model's configuration that shows ``value`` in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [value]})


class ApiModel(BaseModel):
    """Base of all answers: immutable, no stray fields, every field always present in the JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", from_attributes=True, json_schema_serialization_defaults_required=True
    )
