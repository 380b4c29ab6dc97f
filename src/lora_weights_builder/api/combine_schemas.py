"""The JSON of combining several entries, and of selections that are kept under a name.

What is sent may hold fields of other clients' own, which are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, WithJsonSchema

from lora_weights_builder.api.base_schema import ApiModel, example
from lora_weights_builder.api.profile_schemas import NameSent, sent
from lora_weights_builder.api.schemas import FieldProblem
from lora_weights_builder.builder.combining import ReasonCode

MAX_LORAS: Final = 100
RESPONSE_SCHEMA_VERSION: Final = "1.0"
_EXAMPLE_IDS: Final = ["FLX-CHT-001", "FLX-STL-002"]
_EXAMPLE_SETTINGS: Final[dict[str, Any]] = {"FLX-CHT-001": {"strength_model": 0.8, "profile_id": 3}}

SentId = Annotated[str, Field(max_length=128, pattern=r"^[^\x00]*$")]
SentNumber = Annotated[float | None, Field(ge=-100, le=100, allow_inf_nan=False)]


class LoraSettings(BaseModel):
    """What is wanted of one LoRA; what is absent or null takes its default."""

    strength_model: SentNumber = Field(None, description="Default 1.0.")
    strength_clip: SentNumber = Field(None, description="Default 1.0; 0 where the file has no text-encoder tensors.")
    affect_clip: bool | None = Field(None, description="Default true; false sets `strength_clip` to 0.")
    A: SentNumber = Field(None, description="Handed on to the loader; default 4.0.")
    B: SentNumber = Field(None, description="Handed on to the loader; default 1.0.")
    profile_id: int | None = Field(
        None, ge=1, le=(1 << 63) - 1, description="A profile of the entry; by default every block is at 1.0."
    )


class Selection(BaseModel):
    """Several entries, and what is wanted of each."""

    model_config = sent({"stable_ids": _EXAMPLE_IDS, "per_lora": _EXAMPLE_SETTINGS}, optional={"per_lora"})

    stable_ids: list[SentId] = Field(default_factory=list, max_length=MAX_LORAS)
    per_lora: dict[SentId, LoraSettings] = Field(default_factory=dict, max_length=MAX_LORAS)


class CombinedProfileBody(Selection):
    """A selection to keep under a name."""

    model_config = sent(
        {"profile_name": "portrait", "stable_ids": _EXAMPLE_IDS, "per_lora": _EXAMPLE_SETTINGS}, optional={"per_lora"}
    )

    profile_name: NameSent = None


class CombinedLora(ApiModel):
    """One LoRA of a combination; the reason is null where it takes part."""

    stable_id: str
    filename: str | None = Field(description="Null where no entry has this id.")
    role: str | None
    base_model_code: str | None
    block_layout: str | None
    reason_code: ReasonCode | None
    reason_detail: str | None


class CombineReason(ApiModel):
    """Why LoRAs were left out or do not go together."""

    code: ReasonCode
    detail: str
    stable_ids: list[str]


class NodePayload(ApiModel):
    """What a loader has to be told of one LoRA."""

    stable_id: str
    filename: str
    role: str
    base_model_code: str
    block_layout: str
    clip_contributor: bool
    affect_clip: bool
    strength_model: float = Field(description="As asked for.")
    strength_clip: float = Field(description="As asked for; 0 where there is nothing for it to act on.")
    advised_strength_model: float = Field(description="The same sum of strengths, shared out by the roles' budgets.")
    advised_strength_clip: float
    A: float
    B: float
    block_weights: list[float] = Field(description="The profile: one multiplier a block of the layout.")
    block_weights_csv: str
    orchestration_notes: list[str]


class CombinedAverage(ApiModel):
    """Averages over the LoRAs, by advised strength. Nothing to load: a LoRA of these numbers does not exist."""

    strength_model: float
    strength_clip: float
    block_weights_model: list[float]
    block_weights_model_csv: str
    block_weights_clip: list[float]
    block_weights_clip_csv: str


class CombineAnswer(ApiModel):
    """Whether the LoRAs go together (one base model, one layout), and how each is to be loaded."""

    compatible: bool
    validated_base_model: str | None = Field(description="The one all included share, else null.")
    validated_layout: str | None = Field(description="The one all included share, else null.")
    included_loras: list[CombinedLora]
    excluded_loras: list[CombinedLora]
    reasons: list[CombineReason]
    warnings: list[str]
    node_payloads: list[NodePayload]
    response_schema_version: str
    combined: Annotated[
        CombinedAverage | None,
        WithJsonSchema(
            {
                "anyOf": [{"$ref": "#/components/schemas/CombinedAverage"}, {"type": "null"}],
                "deprecated": True,
                "description": "Kept for an existing client; use `node_payloads`. Nothing to load.",
            }
        ),
    ]


class CombineRefusal(ApiModel):
    """The error of a combination. `detail` is the answer as far as it goes, or a sentence where it was not tried."""

    detail: CombineAnswer | str
    code: str = Field(description="`not_combinable`, or why it was not tried: `bad_field`, `bad_json`, `bad_host`.")
    subject: str | None
    fields: list[FieldProblem]


class KeptSettings(ApiModel):
    """What is wanted of one LoRA, as it was sent; null stands for the default."""

    strength_model: float | None
    strength_clip: float | None
    affect_clip: bool | None
    A: float | None
    B: float | None
    profile_id: int | None


class CombinedProfile(ApiModel):
    """A selection kept under a name."""

    model_config = example(
        {
            "id": 1, "profile_name": "portrait", "stable_ids": _EXAMPLE_IDS,
            "per_lora": {
                "FLX-CHT-001": {
                    "strength_model": 0.8, "strength_clip": None, "affect_clip": None, "A": None, "B": None,
                    "profile_id": 3,
                }
            },
            "created_at": "2026-05-05T08:00:00.000000Z", "updated_at": "2026-05-05T08:00:00.000000Z",
        }
    )  # fmt: skip

    id: int
    profile_name: str
    stable_ids: list[str] = Field(description="Some may be gone since; `combine` says which.")
    per_lora: dict[str, KeptSettings]
    created_at: str
    updated_at: str


class CombinedProfiles(ApiModel):
    """All selections kept, by name."""

    profiles: list[CombinedProfile]
    count: int
