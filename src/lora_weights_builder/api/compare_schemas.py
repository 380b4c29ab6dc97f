"""The JSON of several entries beside each other, block by block. The rules of ``schemas`` hold here, too."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.api.registry_schemas import LayoutGroup

_EXAMPLE: Final[dict[str, Any]] = {
    "architecture": "flux1",
    "architecture_name": "Flux.1",
    "entries": [
        {
            "stable_id": stable_id, "filename": filename, "architecture": "flux1",
            "block_layout": "flux_transformer_38", "strength_kinds": ["delta"], "compared": True, "reason": None,
        }
        for stable_id, filename in (("FLX-CLT-057", "coat.safetensors"), ("FLX-STL-004", "ink.safetensors"))
    ],
    "groups": [{"key": "single", "title": "Single blocks", "abbreviation": "S", "start": 0, "count": 1}],
    "places": [
        {
            "label": "S00", "group": "single", "group_index": 0,
            "values": [
                {"state": "measured", "weight": 1.0, "raw_strength": 2.5, "rms_change": 0.0004},
                {"state": "absent", "weight": 0.0, "raw_strength": 0.0, "rms_change": None},
            ],
        }
    ],
    "similarities": [{"one": "FLX-CLT-057", "other": "FLX-STL-004", "cosine": None}],
    "notes": [],
}  # fmt: skip


class ComparedEntry(ApiModel):
    """One of the entries asked for, and why it is left out where it is."""

    stable_id: str
    filename: str | None = Field(description="Null where no entry has this id.")
    architecture: str | None
    block_layout: str | None
    strength_kinds: list[str]
    compared: bool
    reason: str | None = Field(description="A sentence; null where the entry is compared.")


class ComparedValue(ApiModel):
    """What one entry does at one place."""

    state: Literal["measured", "absent", "outside"] = Field(
        description="`absent`: the file holds nothing for this block; `outside`: its layout has no such block."
    )
    weight: float | None = Field(description="0..1 of the entry's own strongest block; null where `outside`.")
    raw_strength: float | None = Field(description="Frobenius norm of the change; null where `outside`.")
    rms_change: float | None = Field(description="Change of a typical single weight; null where it is not known.")


class ComparedPlace(ApiModel):
    """One block of the model."""

    label: str
    group: str
    group_index: int
    values: list[ComparedValue] = Field(description="One a compared entry, in the order of `entries`.")


class Similarity(ApiModel):
    """How alike two entries spread their strength over the blocks: similar shape, not similar weights."""

    one: str
    other: str
    cosine: float | None = Field(
        description="Of the raw strengths, absent ones being 0; null where no block is shared."
    )


class CompareAnswer(ApiModel):
    """Entries of one architecture beside each other, aligned by group and place within the group."""

    model_config = example(_EXAMPLE)

    architecture: str | None = Field(description="Null where nothing could be compared.")
    architecture_name: str | None
    entries: list[ComparedEntry] = Field(description="All that were asked for, in that order.")
    groups: list[LayoutGroup] = Field(description="Runs of `places`.")
    places: list[ComparedPlace]
    similarities: list[Similarity] = Field(description="One a pair of compared entries.")
    notes: list[str] = Field(description="What to bear in mind, in sentences.")
