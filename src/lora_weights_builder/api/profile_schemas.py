"""The JSON of profiles: what is sent to save one, and what is read.

What is sent may hold fields of other clients' own, which are ignored. Names and multipliers are taken as they come and
judged by ``builder/profiles.py``, whose sentences say what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.builder.profiles import HIGHEST, LOWEST, MAX_NAME

_PROFILE: Final[dict[str, Any]] = {
    "id": 3, "profile_name": "softer middle", "block_layout": "flux_double_19",
    "block_weights": [1.0] * 9 + [0.5] + [1.0] * 9, "created_at": "2026-05-05T08:00:00.000000Z",
    "updated_at": "2026-05-05T08:00:00.000000Z", "fits": True, "misfit": None,
}  # fmt: skip

NameSent = Annotated[
    Any,
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME, "description": "Unique for its entry."}),
]
WeightsSent = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "number", "minimum": LOWEST, "maximum": HIGHEST},
            "description": "One multiplier a block of the entry's layout; 1.0 changes nothing.",
        }
    ),
]


def sent(value: dict[str, Any], optional: Collection[str] = ()) -> ConfigDict:
    """The configuration of a model of what is sent: its example, whose fields are required but for some."""
    extra: dict[str, Any] = {"required": [name for name in value if name not in optional], "examples": [value]}
    return ConfigDict(json_schema_extra=extra)


class ProfileBody(BaseModel):
    """A profile to save. To duplicate one, send its multipliers under another name."""

    model_config = sent({name: _PROFILE[name] for name in ("profile_name", "block_weights")})

    profile_name: NameSent = None
    block_weights: WeightsSent = None


class ProfileChange(BaseModel):
    """Another name, other multipliers, or both."""

    model_config = example({"profile_name": "softer still"})

    profile_name: NameSent = None
    block_weights: WeightsSent = None


class Profile(ApiModel):
    """A saved profile."""

    model_config = example(_PROFILE)

    id: int
    profile_name: str
    block_layout: str = Field(description="The layout it was saved for.")
    block_weights: list[float] = Field(description="One multiplier a block of `block_layout`.")
    created_at: str
    updated_at: str
    fits: bool = Field(description="False where the entry has another layout now.")
    misfit: str | None = Field(description="Why it does not fit; null where it does.")


class ProfilesAnswer(ApiModel):
    """The profiles of an entry, by name, and what a new one has to hold."""

    stable_id: str
    block_layout: str | None = Field(description="The layout to make profiles for; null: none, so there can be none.")
    block_count: int = Field(description="How many multipliers a profile has.")
    lowest: float = Field(description="The smallest multiplier that is taken.")
    highest: float = Field(description="The largest multiplier that is taken.")
    profiles: list[Profile]


class SavedProfile(Profile):
    """The profile as it was saved, and all profiles of its entry."""

    model_config = example({**_PROFILE, "stable_id": "FLX-CLT-057", "profiles": [_PROFILE]})

    stable_id: str
    profiles: list[Profile]


class DeletedProfile(ApiModel):
    """The profiles that are left."""

    stable_id: str
    deleted: int = Field(description="The id of the profile that is gone.")
    profiles: list[Profile]
